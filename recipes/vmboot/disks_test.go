package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestIsDisk(t *testing.T) {
	folder := t.TempDir()
	if !isDisk(folder, "sda") || !isDisk(folder, "nvme0n1") || !isDisk(folder, "vda") {
		t.Fatal("a disk is none")
	}

	for _, name := range []string{"loop0", "ram1", "zram0", "sr0", "dm-1"} {
		if isDisk(folder, name) {
			t.Errorf("%s is a disk", name)
		}
	}

	if err := os.WriteFile(filepath.Join(folder, "partition"), []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	if isDisk(folder, "nvme0n1p1") {
		t.Fatal("a partition is a disk")
	}
}

func TestIsReadOnly(t *testing.T) {
	folder := t.TempDir()
	if isReadOnly(folder) {
		t.Fatal("read-only without a flag")
	}

	for content, want := range map[string]bool{"0\n": false, "1\n": true} {
		if err := os.WriteFile(filepath.Join(folder, "ro"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}

		if isReadOnly(folder) != want {
			t.Errorf("%q: %v", content, !want)
		}
	}
}
