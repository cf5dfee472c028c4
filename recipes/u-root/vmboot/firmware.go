package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/bobuhiro11/gokvm/pvh"
	"github.com/u-root/u-root/pkg/mount"
	"github.com/u-root/u-root/pkg/mount/block"
	"golang.org/x/sys/unix"
)

const (
	// fileName is what is looked for at the top of each file system.
	fileName = "CLOUDHV.fd"
	// inFlash is the copy that came with this system.
	inFlash = "/lib/firmware/" + fileName
	// maxFirmware is far more than any firmware has; the file is held in memory.
	maxFirmware = 64 << 20
)

var errFirmware = errors.New("no firmware")

// findFirmware returns the path of a checked firmware file that no mounted disk is needed for.
func findFirmware(o *options, memory uint64) (string, error) {
	if strings.HasPrefix(o.firmware, "/") {
		return o.firmware, checkFile(o.firmware, memory)
	}

	devices, err := block.GetBlockDevices()
	if err != nil {
		say("no block devices: %v", err)
	}

	devices = devices.FilterZeroSize()

	switch kind, value, _ := strings.Cut(o.firmware, "="); kind {
	case "":
	case "LABEL":
		devices = devices.FilterPartLabel(value)
	case "PARTUUID":
		devices = devices.FilterPartID(value)
	default:
		return "", fmt.Errorf("%w: --firmware %q is neither a path nor LABEL=… nor PARTUUID=…", errUsage, o.firmware)
	}

	for _, device := range devices {
		path, err := fromDevice(device.DevicePath(), memory)
		if err == nil {
			say("%s is on %s", fileName, device.DevicePath())

			return path, nil
		}

		if !errors.Is(err, errNoFileSystem) {
			say("%s is passed over: %v", device.DevicePath(), err)
		}
	}

	if o.firmware != "" {
		return "", fmt.Errorf("%w: nothing on %s", errFirmware, o.firmware)
	}

	if err := checkFile(inFlash, memory); err != nil {
		return "", fmt.Errorf("%w on any disk, nor in flash: %w", errFirmware, err)
	}

	say("no disk has a %s; using the one in flash", fileName)

	return inFlash, nil
}

var errNoFileSystem = errors.New("no file system that is known here")

// fromDevice copies the firmware from a file system into memory.
func fromDevice(device string, memory uint64) (string, error) {
	kind, flags, err := mount.FSFromBlock(device)
	if err != nil {
		return "", errNoFileSystem
	}

	point, err := os.MkdirTemp("", "vmboot-")
	if err != nil {
		return "", err
	}
	defer os.Remove(point)

	// Neither is a journal replayed: the disk is the machine's.
	data := map[string]string{"ext4": "noload", "xfs": "norecovery"}[kind]

	mounted, err := mount.Mount(device, point, kind, data, flags|unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC)
	if err != nil {
		return "", fmt.Errorf("it cannot be mounted as %s: %w", kind, err)
	}
	defer mounted.Unmount(0)

	source := filepath.Join(point, fileName)
	if err := checkFile(source, memory); err != nil {
		return "", err
	}

	copied := filepath.Join(os.TempDir(), fileName)

	return copied, copyFile(source, copied)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()

	out, err := os.Create(to)
	if err != nil {
		return err
	}

	_, err = io.Copy(out, in)

	return errors.Join(err, out.Close())
}

// checkFile says what is wrong with a firmware file, before a machine is made for it.
func checkFile(path string, memory uint64) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()

	info, err := file.Stat()
	if err != nil {
		return err
	}

	if err := checkFirmware(file, info.Size(), memory); err != nil {
		return fmt.Errorf("%s cannot be used: %w", filepath.Base(path), err)
	}

	return nil
}

// checkFirmware checks that all of an ELF file's segments are there and fit into the machine's memory, and
// that it has a PVH entry.
func checkFirmware(file io.ReaderAt, length int64, memory uint64) error {
	switch {
	case length == 0:
		return fmt.Errorf("%w: it is empty", errFirmware)
	case length > maxFirmware:
		return fmt.Errorf("%w: it has %d MiB, at most %d are possible", errFirmware, length>>20, maxFirmware>>20)
	}

	image, err := elf.NewFile(file)
	if err != nil {
		return fmt.Errorf("%w: it is no ELF file: %w", errFirmware, err)
	}

	if image.Class != elf.ELFCLASS64 {
		return fmt.Errorf("%w: it is an ELF file, but not one of 64 bits", errFirmware)
	}

	for _, segment := range image.Progs {
		if segment.Type != elf.PT_LOAD && segment.Type != elf.PT_NOTE {
			continue
		}

		if segment.Off > uint64(length) || segment.Filesz > uint64(length)-segment.Off {
			return fmt.Errorf("%w: it is truncated: a segment ends at %d, the file at %d",
				errFirmware, segment.Off+segment.Filesz, length)
		}

		if segment.Type == elf.PT_LOAD && (segment.Paddr > memory || segment.Memsz > memory-segment.Paddr) {
			return fmt.Errorf("%w: it wants to be at %#x, the machine has %d MiB", errFirmware, segment.Paddr, memory>>20)
		}
	}

	isPVH, err := pvh.CheckPVH(file)
	if err != nil || !isPVH {
		return fmt.Errorf("%w: it has no PVH entry, so it is not EDK2 for Cloud Hypervisor", errFirmware)
	}

	return nil
}
