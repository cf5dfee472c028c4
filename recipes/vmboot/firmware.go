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
	// configName is a file with options, at the top of a file system.
	configName = "vmboot.conf"
	maxConfig  = 64 << 10
	// maxFirmware is far more than any firmware has; the file is held in memory.
	maxFirmware = 64 << 20
)

var errFirmware = errors.New("no firmware")

// found is what a search for the firmware has come upon.
type found struct {
	// firmware is the path of a checked file that no mounted disk is needed for.
	firmware string
	// config is the text of the first configuration file that was met, empty if none was.
	config string
}

// findFirmware looks where the options say, or else at the top of every file system, and then in the flash.
func findFirmware(o *options) (*found, error) {
	if strings.HasPrefix(o.firmware, "/") {
		return &found{firmware: o.firmware}, checkFile(o.firmware, lowMemory)
	}

	devices, err := block.GetBlockDevices()
	if err != nil {
		say("no block devices: %v", err)
	}

	devices = devices.FilterZeroSize()

	switch kind, value, _ := strings.Cut(o.firmware, "="); kind {
	case "":
	case "LABEL":
		devices = append(devices.FilterPartLabel(value), withLabel(devices, value)...)
	case "PARTUUID":
		devices = devices.FilterPartID(value)
	default:
		return nil, fmt.Errorf("%w: --firmware %q is neither a path nor LABEL=… nor PARTUUID=…", errUsage, o.firmware)
	}

	result := &found{}

	for _, device := range devices {
		err := result.lookAt(device.DevicePath())
		if err == nil {
			say("%s is on %s", fileName, device.DevicePath())

			return result, nil
		}

		if !errors.Is(err, errNoFileSystem) {
			say("%s is passed over: %v", device.DevicePath(), err)
		}
	}

	if o.firmware != "" {
		return nil, fmt.Errorf("%w: nothing on %s", errFirmware, o.firmware)
	}

	if err := checkFile(inFlash, lowMemory); err != nil {
		return nil, fmt.Errorf("%w on any disk, nor in flash: %w", errFirmware, err)
	}

	say("no disk has a %s; using the one in flash", fileName)

	result.firmware = inFlash

	return result, nil
}

var errNoFileSystem = errors.New("no file system that is known here")

// lookAt copies the firmware from a file system into memory, and reads the configuration file.
func (f *found) lookAt(device string) error {
	kind, flags, err := mount.FSFromBlock(device)
	if err != nil {
		return errNoFileSystem
	}

	point, err := os.MkdirTemp("", "vmboot-")
	if err != nil {
		return err
	}
	defer os.Remove(point)

	// Neither is a journal replayed: the disk is the machine's.
	data := map[string]string{"ext4": "noload", "xfs": "norecovery"}[kind]

	mounted, err := mount.Mount(device, point, kind, data, flags|unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC)
	if err != nil {
		return fmt.Errorf("it cannot be mounted as %s: %w", kind, err)
	}
	defer mounted.Unmount(0)

	f.readConfig(device, filepath.Join(point, configName))

	source := filepath.Join(point, fileName)
	if err := checkFile(source, lowMemory); err != nil {
		return err
	}

	f.firmware = filepath.Join(os.TempDir(), fileName)

	return copyFile(source, f.firmware)
}

// readConfig keeps a configuration file's text, unless there is one already.
func (f *found) readConfig(device, path string) {
	file, err := os.Open(path)
	if err != nil || f.config != "" {
		return
	}
	defer file.Close()

	text, err := io.ReadAll(io.LimitReader(file, maxConfig+1))

	switch {
	case err != nil:
		say("%s of %s is passed over: %v", configName, device, err)
	case len(text) > maxConfig:
		say("%s of %s is passed over: it has more than %d KiB", configName, device, maxConfig>>10)
	default:
		say("%s is on %s", configName, device)

		f.config = string(text)
	}
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
