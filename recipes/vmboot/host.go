package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/bobuhiro11/gokvm/machine"
	"golang.org/x/sys/unix"
)

const (
	// Below it EDK2 finds no room for itself.
	minMemory = 128 << 20
	// What is below the hole for PCI devices; a firmware has to be there.
	lowMemory = 3 << 30
)

var (
	errMemory = errors.New("too little memory")
	errNoKVM  = errors.New("no virtualisation")
)

// guestMemory is how much memory the machine gets.
func guestMemory(o *options) (uint64, error) {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}

	available, err := availableMemory(string(info))
	if err != nil {
		return 0, err
	}

	return chooseMemory(o, available, uint64(machine.MaxMemSize()))
}

// availableMemory reads MemAvailable out of /proc/meminfo, in bytes.
func availableMemory(info string) (uint64, error) {
	for _, line := range strings.Split(info, "\n") {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemAvailable:" {
			kib, err := strconv.ParseUint(fields[1], 10, 64)

			return kib << 10, err
		}
	}

	return 0, fmt.Errorf("%w: /proc/meminfo does not say how much is available", errMemory)
}

func chooseMemory(o *options, available, maxMemory uint64) (uint64, error) {
	memory := o.memory

	if memory == 0 {
		if available < o.reserve+minMemory {
			return 0, fmt.Errorf("%w: %d MiB are available, %d MiB stay with this system, and the machine needs %d MiB",
				errMemory, available>>20, o.reserve>>20, minMemory>>20)
		}

		memory = min(available-o.reserve, maxMemory)
	}

	if memory > available || memory < minMemory || memory > maxMemory {
		return 0, fmt.Errorf("%w: %d MiB for the machine; between %d and %d MiB are possible, and %d MiB are available",
			errMemory, memory>>20, minMemory>>20, maxMemory>>20, available>>20)
	}

	return memory &^ (2<<20 - 1), nil
}

// checkKVM says what is missing if machines cannot be run here.
func checkKVM() error {
	fd, err := unix.Open(kvmDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		return unix.Close(fd)
	}

	info, _ := os.ReadFile("/proc/cpuinfo")

	return fmt.Errorf("%w: %s: %w: %s", errNoKVM, kvmDevice, err, whyNoKVM(string(info)))
}

// whyNoKVM tells from /proc/cpuinfo whether it is the processor or a setting.
func whyNoKVM(info string) string {
	for _, flag := range strings.Fields(info) {
		switch flag {
		case "vmx":
			return "the processor has VT-x, so the firmware has switched it off, or this kernel lacks KVM for Intel"
		case "svm":
			return "the processor has SVM, so the firmware has switched it off, or this kernel lacks KVM for AMD"
		}
	}

	return "the processor shows neither VT-x (vmx) nor SVM (svm)"
}
