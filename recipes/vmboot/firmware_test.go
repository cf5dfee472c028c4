package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// firmwareFile is the smallest ELF file that can be used: a segment at 1 MiB, and a PVH note.
func firmwareFile(change func(header *elf.Header64, load, note *elf.Prog64)) []byte {
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{
			0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT),
		},
		Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 2, Shentsize: 64,
	}
	load := elf.Prog64{Type: uint32(elf.PT_LOAD), Off: 256, Filesz: 64, Memsz: 64, Paddr: 1 << 20}
	note := elf.Prog64{Type: uint32(elf.PT_NOTE), Off: 200, Filesz: 20, Memsz: 20}

	change(&header, &load, &note)

	var b bytes.Buffer
	for _, part := range []any{header, load, note} {
		_ = binary.Write(&b, binary.LittleEndian, part)
	}

	b.Write(make([]byte, 200-b.Len()))
	_ = binary.Write(&b, binary.LittleEndian, []uint32{4, 4, 18})
	b.WriteString("Xen\x00\x00\x00\x10\x00")
	b.Write(make([]byte, 320-b.Len()))

	return b.Bytes()
}

func TestCheckFirmware(t *testing.T) {
	unchanged := func(*elf.Header64, *elf.Prog64, *elf.Prog64) {}
	good := firmwareFile(unchanged)

	if err := checkFirmware(bytes.NewReader(good), int64(len(good)), 128*mib); err != nil {
		t.Fatal(err)
	}

	for _, tt := range []struct {
		name, want string
		content    []byte
	}{
		{"empty", "empty", nil},
		{"text", "no ELF", []byte("not a firmware")},
		{"truncated", "truncated", good[:300]},
		{"truncated in the header", "no ELF", good[:80]},
		{"no note", "no PVH entry", firmwareFile(func(_ *elf.Header64, _, note *elf.Prog64) { note.Type = uint32(elf.PT_NULL); note.Filesz = 0 })},
		{"too high", "wants to be at", firmwareFile(func(_ *elf.Header64, load, _ *elf.Prog64) { load.Paddr = 1 << 40 })},
		{"too large in memory", "wants to be at", firmwareFile(func(_ *elf.Header64, load, _ *elf.Prog64) { load.Memsz = ^uint64(0) })},
		{"offset overflows", "truncated", firmwareFile(func(_ *elf.Header64, load, _ *elf.Prog64) { load.Off = 1 << 60 })},
	} {
		err := checkFirmware(bytes.NewReader(tt.content), int64(len(tt.content)), 128*mib)
		if !errors.Is(err, errFirmware) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestHugeFirmware(t *testing.T) {
	path := filepath.Join(t.TempDir(), fileName)

	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	if err := file.Truncate(3 << 30); err != nil {
		t.Fatal(err)
	}

	if err := checkFile(path, 1<<30); err == nil || !strings.Contains(err.Error(), "3072 MiB") {
		t.Fatal(err)
	}
}

func TestAbsentFirmware(t *testing.T) {
	if err := checkFile(filepath.Join(t.TempDir(), fileName), 1<<30); !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

func TestReadConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), configName)
	f := &found{}
	f.readConfig("here", path)

	if f.config != "" {
		t.Fatal("a file that is not there was read")
	}

	for _, tt := range []struct{ content, want string }{
		{strings.Repeat("x", maxConfig+1), ""},
		{"memory = 1G", "memory = 1G"},
		{"memory = 2G", "memory = 1G"},
	} {
		if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}

		if f.readConfig("here", path); f.config != tt.want {
			t.Fatalf("%q: %q", tt.content[:1], f.config)
		}
	}
}
