package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// pciID is the number of a device's maker, and the number that it gave to the device.
type pciID struct {
	vendor, device uint16
}

// pciFilter is a set of PCI ids; as a flag it is a list like 0x8086:0x1234,1af4:1041.
type pciFilter map[pciID]bool

// String is for package flag, which asks for it to find out about defaults; there are none.
func (f pciFilter) String() string {
	return ""
}

// Set adds the ids of a list.
func (f pciFilter) Set(text string) error {
	for _, id := range strings.Split(text, ",") {
		vendor, device, found := strings.Cut(id, ":")
		v, errV := parseHex(vendor)
		d, errD := parseHex(device)

		if !found || errV != nil || errD != nil {
			return fmt.Errorf("%q is no PCI id such as 0x8086:0x1234", id)
		}

		f[pciID{v, d}] = true
	}

	return nil
}

func parseHex(text string) (uint16, error) {
	number, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 16)

	return uint16(number), err
}

// keepsAway says whether a device of this computer, whose folder in sysfs is given, is not for the machine.
// What no PCI device is behind is kept away by a list of what is allowed, and by no list of what is not.
func (o *options) keepsAway(folder string) bool {
	id, found := pciOf(folder)

	return o.block[id] && found || len(o.allow) > 0 && !(found && o.allow[id])
}

// pciOf finds the PCI device that is behind a device of any kind: it is the nearest folder above it that
// has numbers of a maker, a device and a class. The devices of the virtio bus have all but the last. A virtio device has such numbers of its own; only those of its PCI
// device have four digits.
func pciOf(folder string) (pciID, bool) {
	path, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return pciID{}, false
	}

	for ; path != filepath.Dir(path); path = filepath.Dir(path) {
		vendor, errV := os.ReadFile(filepath.Join(path, "vendor"))
		device, errD := os.ReadFile(filepath.Join(path, "device"))

		_, errC := os.Stat(filepath.Join(path, "class"))

		if errV != nil || errD != nil || errC != nil {
			continue
		}

		v, errV := parseHex(strings.TrimSpace(string(vendor)))
		d, errD := parseHex(strings.TrimSpace(string(device)))

		return pciID{v, d}, errV == nil && errD == nil
	}

	return pciID{}, false
}
