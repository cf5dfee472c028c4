package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bobuhiro11/gokvm/vmm"
	"github.com/u-root/u-root/pkg/mount/block"
)

// findDisks returns the disks that the machine gets: all whole disks but those that the options keep away.
func findDisks(o *options) ([]vmm.Disk, error) {
	devices, err := block.GetBlockDevices()
	if err != nil {
		return nil, fmt.Errorf("block devices: %w", err)
	}

	disks := []vmm.Disk{}

	for _, device := range devices.FilterZeroSize() {
		folder := filepath.Join("/sys/class/block", device.DevName())
		if !isDisk(folder, device.DevName()) {
			continue
		}

		if o.keepsAway(folder) {
			say("%s is not for the machine", device.DevicePath())

			continue
		}

		readOnly := o.readOnly || isReadOnly(folder)
		disks = append(disks, vmm.Disk{Path: device.DevicePath(), ReadOnly: readOnly})
		say("disk %d is %s%s", len(disks), device.DevicePath(), map[bool]string{true: ", read-only"}[readOnly])
	}

	return disks, nil
}

// isDisk says whether a block device, whose folder in sysfs is given, is a disk of its own. What Linux makes
// of memory and files is none.
func isDisk(folder, name string) bool {
	for _, virtual := range []string{"loop", "ram", "zram", "sr", "fd", "dm-", "md"} {
		if strings.HasPrefix(name, virtual) {
			return false
		}
	}

	_, err := os.Stat(filepath.Join(folder, "partition"))

	return os.IsNotExist(err)
}

func isReadOnly(folder string) bool {
	flag, err := os.ReadFile(filepath.Join(folder, "ro"))

	return err == nil && strings.TrimSpace(string(flag)) == "1"
}
