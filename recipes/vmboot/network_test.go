package main

import (
	"net"
	"reflect"
	"testing"
)

func TestFindCards(t *testing.T) {
	top := sysfs(t, map[string]string{
		"lo/type":             "772\n",
		"br-eth0/type":        "1\n",
		"eth0/device/vendor":  "0x8086\n",
		"eth0/device/device":  "0x10d3\n",
		"eth0/device/class":   "0x020000\n",
		"enp3s0/device/class": "0x020000\n",
	})

	for want, o := range map[string]*options{
		"enp3s0 eth0": {network: true},
		"eth0":        {network: true, allow: pciFilter{{0x8086, 0x10d3}: true}},
		"enp3s0":      {network: true, block: pciFilter{{0x8086, 0x10d3}: true}},
		"":            {},
	} {
		got := ""
		for _, name := range findCards(top, o) {
			got += " " + name
		}

		if got != " "+want && got != want {
			t.Errorf("%+v: got %q, want %q", o, got, want)
		}
	}

	if cards := findCards(top+"/absent", &options{network: true}); len(cards) > 0 {
		t.Error(cards)
	}
}

func TestOtherAddress(t *testing.T) {
	address := net.HardwareAddr{0x3c, 1, 2, 3, 4, 5}
	other := otherAddress(address)
	if other.String() != "3e:01:02:03:04:05" || !reflect.DeepEqual(otherAddress(other), address) {
		t.Error(other, address)
	}
}
