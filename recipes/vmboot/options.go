package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are what a person or the kernel's command line can choose.
type options struct {
	// firmware is a path, LABEL=… or PARTUUID=…; empty to search.
	firmware string
	// memory is the machine's in bytes; 0 for all but the reserve.
	memory uint64
	// reserve is what stays with the host, in bytes.
	reserve uint64
	// cpus is how many the machine has; by default as many as the computer.
	cpus int
	// block and allow say by PCI ids which controllers' disks and which network cards the machine gets.
	block, allow pciFilter
	// readOnly is whether the machine cannot write to its disks.
	readOnly bool
	// network is whether the machine gets network cards.
	network bool
	// watchdog is how long the machine's firmware may say nothing after its start.
	watchdog time.Duration
}

const (
	prefix = "vmboot."
	// maxCPUs is how many gokvm can have.
	maxCPUs        = 64
	defaultReserve = 384 << 20
	// EDK2 says something after a second on hardware, and after ten where everything is emulated.
	defaultWatchdog = 2 * time.Minute
)

var errUsage = errors.New("wrong option")

// readOptions reads flags, before them the words of the kernel's command line, and first of all a
// configuration file, of which the text is given.
func readOptions(config string, args []string) (*options, error) {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil, err
	}

	return parseOptions(slices.Concat(fromConfig(config), fromKernel(string(line)), args))
}

// fromConfig makes flags of the lines of a configuration file: name = value, or a name alone. Blank lines
// and those that begin with # are left out.
func fromConfig(text string) []string {
	flags := []string{}

	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}

		name, value, found := strings.Cut(line, "=")
		option := "--" + strings.TrimSpace(name)

		if found {
			option += "=" + strings.TrimSpace(value)
		}

		flags = append(flags, option)
	}

	return flags
}

// fromKernel makes flags of those words of a kernel command line that are for vmboot.
func fromKernel(line string) []string {
	flags := []string{}

	for _, word := range strings.Fields(line) {
		if name, ok := strings.CutPrefix(word, prefix); ok {
			flags = append(flags, "--"+name)
		}
	}

	return flags
}

func parseOptions(args []string) (*options, error) {
	o := &options{reserve: defaultReserve, block: pciFilter{}, allow: pciFilter{}}
	set := flag.NewFlagSet("vmboot", flag.ContinueOnError)

	set.StringVar(&o.firmware, "firmware", "", "`path`, LABEL=label of a file system or partition, or PARTUUID=uuid; searched for by default")
	set.Func("memory", "`size` of the machine, for example 2G; all but the reserve by default", size(&o.memory))
	set.Func("reserve", "`size` that stays with this system, 384M by default", size(&o.reserve))
	set.IntVar(&o.cpus, "cpus", min(runtime.NumCPU(), maxCPUs), "number of CPUs; as many as the computer has by default")
	set.Var(o.block, "block", "PCI `ids` (0x8086:0x1234,…) of controllers and network cards that the machine does not get")
	set.Var(o.allow, "allow", "PCI `ids` of the only controllers and network cards that the machine gets")
	set.BoolVar(&o.readOnly, "read-only", false, "the machine cannot write to its disks")
	set.DurationVar(&o.watchdog, "watchdog", defaultWatchdog, "`time` within which the firmware has to say something")
	set.BoolVar(&o.network, "network", true, "the machine gets the network cards")

	// An error is printed by who gets it.
	set.SetOutput(io.Discard)

	err := set.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		set.SetOutput(os.Stdout)
		set.PrintDefaults()
	}

	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}

	if set.NArg() > 0 {
		return nil, fmt.Errorf("%w: %q is no option", errUsage, set.Arg(0))
	}

	if o.watchdog <= 0 {
		return nil, fmt.Errorf("%w: a watchdog of %s", errUsage, o.watchdog)
	}

	if o.cpus < 1 || o.cpus > maxCPUs {
		return nil, fmt.Errorf("%w: %d CPUs", errUsage, o.cpus)
	}

	return o, nil
}

// size parses a number of bytes, or of KiB, MiB or GiB with the letter K, M or G.
func size(into *uint64) func(string) error {
	return func(text string) error {
		shift := 0

		digits := text
		if i := strings.IndexAny(text, "kKmMgG"); i >= 0 && i == len(text)-1 {
			shift = map[byte]int{'k': 10, 'm': 20, 'g': 30}[text[i]|0x20]
			digits = text[:i]
		}

		number, err := strconv.ParseUint(digits, 10, 64)
		if err != nil || number == 0 || number > 1<<50>>shift {
			return fmt.Errorf("%q is no size such as 512M or 2G", text)
		}

		*into = number << shift

		return nil
	}
}
