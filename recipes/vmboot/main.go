// Command vmboot starts the virtual machine that the computer exists for: EDK2's UEFI firmware under
// gokvm, with the computer's disks and network cards.
//
// It looks for CLOUDHV.fd at the top of every file system, and falls back to the copy that lies beside it
// in the flash. It writes to no disk itself: file systems are mounted read-only, and not any more when the
// machine starts.
//
// Options are flags (--memory 2G), words of the kernel's command line (vmboot.memory=2G), or lines of a file
// vmboot.conf at the top of a file system (memory = 2G); flags win, and the file comes last.
// Exit status: 0 the machine has shut down, 1 it could not be started or has failed. A reset starts again, and so do
// the first triple faults.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/bobuhiro11/gokvm/vmm"
)

const kvmDevice = "/dev/kvm"

func main() {
	begin := time.Now()

	err := run(os.Args[1:])
	if err == nil {
		say("the machine has shut down")

		return
	}

	again, faults, message := startAgain(err, time.Since(begin), faultsBefore())
	say("%v", message)

	if again {
		say("%v", execAgain(faults))
	}

	os.Exit(1)
}

// say prints a line for people. The terminal may still be raw: hence the carriage return.
func say(format string, args ...any) {
	fmt.Printf("vmboot: "+format+"\r\n", args...)
}

func run(args []string) error {
	options, err := readOptions("", args)
	if err != nil {
		return err
	}

	if err := checkKVM(); err != nil {
		return err
	}

	found, err := findFirmware(options)
	if err != nil {
		return err
	}

	if options, err = readOptions(found.config, args); err != nil {
		return err
	}

	memory, err := guestMemory(options)
	if err != nil {
		return err
	}

	if err := checkFile(found.firmware, min(memory, lowMemory)); err != nil {
		return err
	}

	disks, err := findDisks(options)
	if err != nil {
		return err
	}

	console := &watchdog{console: os.Stdout, limit: options.watchdog}
	machine := vmm.New(vmm.Config{
		Dev:     kvmDevice,
		Kernel:  found.firmware,
		NCPUs:   options.cpus,
		MemSize: int(memory),
		Disks:   disks,
		Taps:    connectCards(options),
		Console: console,
	})

	say("starting a machine with %d MiB and %d CPU", memory>>20, options.cpus)

	if err := machine.Init(); err != nil {
		return fmt.Errorf("the machine cannot be made: %w", err)
	}

	if err := machine.Setup(); err != nil {
		return fmt.Errorf("the firmware cannot be loaded: %w", err)
	}

	console.stop = machine.Stop
	console.start()

	return machine.Boot()
}
