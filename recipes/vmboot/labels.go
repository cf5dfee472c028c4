package main

import (
	"bytes"
	"io"
	"os"

	"github.com/u-root/u-root/pkg/mount/block"
)

// places of a label in a file system: where its magic number is, and then where the label.
var places = []struct {
	magicAt int64
	magic   string
	labelAt int64
	length  int
}{
	// ext4: the superblock is at 1024, s_magic at 0x38, s_volume_name at 0x78.
	{1024 + 0x38, "\x53\xef", 1024 + 0x78, 16},
	// XFS: sb_magicnum at 0, sb_fname at 108.
	{0, "XFSB", 108, 12},
	// FAT32 and FAT16: BS_FilSysType, and BS_VolLab before it.
	{82, "FAT32   ", 71, 11},
	{54, "FAT16   ", 43, 11},
	{54, "FAT12   ", 43, 11},
}

// labelOf returns the label of a file system, empty if it has none.
func labelOf(device io.ReaderAt) string {
	for _, place := range places {
		magic := make([]byte, len(place.magic))
		label := make([]byte, place.length)

		if _, err := device.ReadAt(magic, place.magicAt); err != nil || string(magic) != place.magic {
			continue
		}

		if _, err := device.ReadAt(label, place.labelAt); err != nil {
			return ""
		}

		return string(bytes.TrimRight(label, "\x00 "))
	}

	return ""
}

// withLabel returns those devices whose file system has the label.
func withLabel(devices block.BlockDevices, label string) block.BlockDevices {
	matching := block.BlockDevices{}

	for _, device := range devices {
		file, err := os.Open(device.DevicePath())
		if err != nil {
			continue
		}

		if labelOf(file) == label {
			matching = append(matching, device)
		}

		file.Close()
	}

	return matching
}
