package main

import (
	"errors"
	"strings"
	"testing"
)

const mib = 1 << 20

func TestChooseMemory(t *testing.T) {
	for _, tt := range []struct {
		name                      string
		wanted, reserve, has, got uint64
	}{
		{"all but the reserve", 0, 384 * mib, 1024 * mib, 640 * mib},
		{"rounded down", 0, 384 * mib, 1025 * mib, 640 * mib},
		{"no more than is possible", 0, 384 * mib, 64 << 30, 3 << 30},
		{"as wanted", 256 * mib, 384 * mib, 512 * mib, 256 * mib},
		{"exactly enough", 0, 384 * mib, 512 * mib, 128 * mib},
	} {
		got, err := chooseMemory(&options{memory: tt.wanted, reserve: tt.reserve}, tt.has, 3<<30)
		if err != nil || got != tt.got {
			t.Errorf("%s: %d MiB, %v", tt.name, got>>20, err)
		}
	}

	for _, o := range []*options{
		{reserve: 400 * mib},
		{memory: 513 * mib},
		{memory: 64 * mib},
		{memory: 4 << 30},
	} {
		if got, err := chooseMemory(o, 512*mib, 3<<30); !errors.Is(err, errMemory) {
			t.Errorf("%+v: %d MiB, %v", o, got>>20, err)
		}
	}
}

func TestAvailableMemory(t *testing.T) {
	got, err := availableMemory("MemTotal:  2000 kB\nMemFree:  500 kB\nMemAvailable:    1024 kB\n")
	if err != nil || got != mib {
		t.Fatalf("%d, %v", got, err)
	}

	if _, err := availableMemory("MemTotal: 1 kB\n"); !errors.Is(err, errMemory) {
		t.Fatal(err)
	}
}

func TestWhyNoKVM(t *testing.T) {
	for info, want := range map[string]string{
		"flags : fpu vmx sse":    "VT-x, so the firmware",
		"flags : fpu svm":        "SVM, so the firmware",
		"flags : fpu vmxnotreal": "neither",
	} {
		if got := whyNoKVM(info); !strings.Contains(got, want) {
			t.Errorf("%s: %s", info, got)
		}
	}
}
