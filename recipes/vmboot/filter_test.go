package main

import (
	"os"
	"path/filepath"
	"testing"
)

// sysfs makes files below a folder, and returns the folder.
func sysfs(t *testing.T, files map[string]string) string {
	t.Helper()

	top := t.TempDir()
	for path, content := range files {
		path = filepath.Join(top, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	return top
}

func TestPCIFilter(t *testing.T) {
	for _, text := range []string{"", "8086", "8086:", ":1", "8086:12345", "8086:xyz", "8086:1,", "8086:1;1:2"} {
		if err := (pciFilter{}).Set(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}

	f := pciFilter{}
	if err := f.Set("0x8086:0xABCD,1af4:1001"); err != nil || !f[pciID{0x8086, 0xabcd}] || !f[pciID{0x1af4, 0x1001}] {
		t.Fatal(f, err)
	}
}

func TestKeepsAway(t *testing.T) {
	top := sysfs(t, map[string]string{
		"pci/ahci/vendor": "0x8086\n", "pci/ahci/device": "0x2922\n",
		"pci/ahci/ata1/block/sda/vendor":  "QEMU\n",
		"pci/virtio/vendor":               "0x1af4\n",
		"pci/virtio/device":               "0x1001\n",
		"pci/virtio/virtio0/vendor":       "0x1af4\n",
		"pci/virtio/virtio0/device":       "0x0002\n",
		"pci/virtio/virtio0/block/vda/ro": "0\n",
		"platform/floppy/block/fd0/ro":    "0\n",
		"pci/ahci/class":                  "0x010601\n",
		"pci/virtio/class":                "0x010000\n",
	})
	sda, vda := filepath.Join(top, "pci/ahci/ata1/block/sda"), filepath.Join(top, "pci/virtio/virtio0/block/vda")
	other := filepath.Join(top, "platform/floppy/block/fd0")

	for _, tt := range []struct {
		block, allow  string
		sda, vda, fd0 bool
	}{
		{"", "", false, false, false},
		{"8086:2922", "", true, false, false},
		{"", "8086:2922", false, true, true},
		{"8086:2922", "8086:2922,1af4:1001", true, false, true},
	} {
		o := &options{block: pciFilter{}, allow: pciFilter{}}
		for text, filter := range map[string]pciFilter{tt.block: o.block, tt.allow: o.allow} {
			if text != "" {
				if err := filter.Set(text); err != nil {
					t.Fatal(err)
				}
			}
		}

		if o.keepsAway(sda) != tt.sda || o.keepsAway(vda) != tt.vda || o.keepsAway(other) != tt.fd0 {
			t.Errorf("block %q, allow %q: sda %v, vda %v, fd0 %v", tt.block, tt.allow,
				o.keepsAway(sda), o.keepsAway(vda), o.keepsAway(other))
		}
	}

	if _, found := pciOf(filepath.Join(top, "absent")); found {
		t.Error("a device that does not exist is a PCI device")
	}
}
