package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/bobuhiro11/gokvm/iodev"
	"github.com/bobuhiro11/gokvm/machine"
)

const (
	// maxFaults is after how many triple faults, one soon after the other, vmboot gives up: a firmware that always
	// crashes would begin again for ever.
	maxFaults = 4
	// A machine that has run for so long has not crashed in its start.
	longRun = 10 * time.Minute
	// faultsVariable keeps the number of faults from one start to the next.
	faultsVariable = "VMBOOT_TRIPLE_FAULTS"
)

// startAgain says what follows the end of a machine: whether it starts again, how many triple faults there have been in
// a row, including this one, and what is to be said, which is the reason for the end if it does not start again.
//
// A reset is what the guest wants. A triple fault resets a computer, too; but only so many times.
func startAgain(end error, ran time.Duration, faults int) (again bool, faultsNow int, message error) {
	switch {
	case errors.Is(end, iodev.ErrReset):
		return true, 0, errors.New("the machine resets")
	case !errors.Is(end, machine.ErrTripleFault):
		return false, 0, end
	}

	if ran >= longRun {
		faults = 0
	}

	faults++
	if faults >= maxFaults {
		return false, faults, fmt.Errorf("%w; that was triple fault %d in a row, so the machine does not start again", end, faults)
	}

	return true, faults, fmt.Errorf("%w; the machine resets, as a computer does (triple fault %d, at %d it stays off)",
		end, faults, maxFaults)
}

// faultsBefore reads how many triple faults there were before this start.
func faultsBefore() int {
	faults, err := strconv.Atoi(os.Getenv(faultsVariable))
	if err != nil || faults < 0 {
		return 0
	}

	return faults
}

// execAgain becomes a new vmboot with the same arguments, so that nothing of the old machine is left. It returns only
// if that fails.
func execAgain(faults int) error {
	if err := os.Setenv(faultsVariable, strconv.Itoa(faults)); err != nil {
		return err
	}

	return fmt.Errorf("the machine cannot start again: %w", syscall.Exec("/proc/self/exe", os.Args, os.Environ()))
}
