package main

import (
	"errors"
	"reflect"
	"runtime"
	"testing"
)

func TestFromKernel(t *testing.T) {
	got := fromKernel("console=ttyS0 vmboot.memory=2G  vmboot.read-only xvmboot.cpus=3 panic=-1\n")
	if want := []string{"--memory=2G", "--read-only"}; !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestFromConfig(t *testing.T) {
	got := fromConfig("# a comment\n\nmemory = 2G\r\n  read-only\nfirmware=LABEL=a b\n=\n-x\n")
	want := []string{"--memory=2G", "--read-only", "--firmware=LABEL=a b", "--=", "---x"}

	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}

	for _, line := range want[3:] {
		if _, err := parseOptions([]string{line}); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestParseOptions(t *testing.T) {
	o, err := parseOptions([]string{"--memory=2G", "--reserve=512m", "--memory", "1G", "--cpus=2", "--read-only", "--block", "1:2"})
	if err != nil {
		t.Fatal(err)
	}

	if o.memory != 1<<30 || o.reserve != 512<<20 || o.cpus != 2 || !o.readOnly || !o.network ||
		!o.block[pciID{1, 2}] || len(o.allow) != 0 {
		t.Fatalf("%+v", o)
	}
}

func TestDefaultOptions(t *testing.T) {
	o, err := parseOptions(nil)
	if err != nil {
		t.Fatal(err)
	}

	if o.memory != 0 || o.reserve != defaultReserve || o.cpus != min(runtime.NumCPU(), maxCPUs) || o.readOnly || !o.network {
		t.Fatalf("%+v", o)
	}
}

func TestWrongOptions(t *testing.T) {
	for _, arg := range []string{
		"--memory=", "--memory=0", "--memory=2T", "--memory=G", "--memory=-1G", "--memory=99999999999G",
		"--memory=1G2", "--cpus=0", "--cpus=65", "--cpus=many", "--unknown", "word", "--block=", "--allow=1", "--network=perhaps", "--watchdog=0s", "--watchdog=-1m", "--watchdog=5",
	} {
		if o, err := parseOptions([]string{arg}); !errors.Is(err, errUsage) {
			t.Errorf("%s: %+v, %v", arg, o, err)
		}
	}
}
