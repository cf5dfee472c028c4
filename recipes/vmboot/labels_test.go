package main

import (
	"bytes"
	"testing"
)

func TestLabelOf(t *testing.T) {
	image := func(parts map[int]string) []byte {
		b := make([]byte, 4096)
		for at, text := range parts {
			copy(b[at:], text)
		}

		return b
	}

	for name, tt := range map[string]struct {
		content []byte
		want    string
	}{
		"ext4":        {image(map[int]string{1080: "\x53\xef", 1144: "a label of 16 by, not more"}), "a label of 16 by"},
		"XFS":         {image(map[int]string{0: "XFSB", 108: "vmboot"}), "vmboot"},
		"FAT32":       {image(map[int]string{82: "FAT32   ", 71: "VMBOOT     "}), "VMBOOT"},
		"FAT16":       {image(map[int]string{54: "FAT16   ", 43: "EFI        "}), "EFI"},
		"no label":    {image(map[int]string{0: "XFSB"}), ""},
		"nothing":     {image(nil), ""},
		"empty":       {nil, ""},
		"ends before": {image(map[int]string{0: "XFSB"})[:50], ""},
	} {
		if got := labelOf(bytes.NewReader(tt.content)); got != tt.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
