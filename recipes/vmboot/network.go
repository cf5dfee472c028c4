package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/bobuhiro11/gokvm/vmm"
	"github.com/vishvananda/netlink"
)

// locallyAdministered is the bit of a MAC address that says that nobody assigned it.
const locallyAdministered = 2

// connectCards gives the machine a network card for each of the computer's: a bridge joins the computer's
// card and a tap interface, whose other end is the machine's card. A card that cannot be joined is passed over.
func connectCards(o *options) []vmm.Tap {
	taps := []vmm.Tap{}

	for _, name := range findCards("/sys/class/net", o) {
		tap, err := connectCard(name)
		if err != nil {
			say("%s is passed over: %v", name, err)

			continue
		}

		taps = append(taps, *tap)
		say("network card %d is %s, %s", len(taps), name, tap.MAC)
	}

	return taps
}

// findCards returns the names of the interfaces below a folder like /sys/class/net that have a device behind them
// (bridges, taps and the loopback have none), but for those that the options keep away.
func findCards(folder string, o *options) []string {
	if !o.network {
		return nil
	}

	entries, err := os.ReadDir(folder)
	if err != nil {
		say("no network cards: %v", err)
	}

	names := []string{}

	for _, entry := range entries {
		device := filepath.Join(folder, entry.Name(), "device")
		if _, err := os.Stat(device); err != nil {
			continue
		}

		if o.keepsAway(device) {
			say("%s is not for the machine", entry.Name())

			continue
		}

		names = append(names, entry.Name())
	}

	return names
}

// connectCard joins a card and a new tap interface. The machine's card gets the MAC address of the computer's,
// so that the network knows it by that; the computer's takes another, because a bridge keeps frames for the
// addresses of its own ports.
func connectCard(name string) (*vmm.Tap, error) {
	card, err := netlink.LinkByName(name)
	if err != nil {
		return nil, err
	}

	address := card.Attrs().HardwareAddr
	if len(address) != 6 {
		return nil, fmt.Errorf("%w: its address is %q", errNoEthernet, address)
	}

	own := otherAddress(address)
	if card.Attrs().MasterIndex != 0 {
		// After a reset it has been exchanged already.
		address, own = own, address
	}

	number := card.Attrs().Index
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("br%d", number), HardwareAddr: own}}
	tap := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("tap%d", number)},
		Mode:      netlink.TUNTAP_MODE_TAP,
		Flags:     netlink.TUNTAP_NO_PI,
	}

	if err := errors.Join(
		create(bridge),
		create(tap),
		netlink.LinkSetDown(card),
		netlink.LinkSetHardwareAddr(card, own),
		join(card, bridge),
		join(tap, bridge),
		netlink.LinkSetUp(bridge),
	); err != nil {
		return nil, err
	}

	return &vmm.Tap{Name: tap.Name, MAC: address}, nil
}

var errNoEthernet = errors.New("it is no Ethernet card")

// create makes an interface, unless it is there already.
func create(link netlink.Link) error {
	name := link.Attrs().Name

	there, err := netlink.LinkByName(name)
	if err == nil {
		link.Attrs().Index = there.Attrs().Index

		return nil
	}

	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("%s cannot be made: %w", name, err)
	}

	return nil
}

// join makes an interface a port of a bridge and switches it on.
func join(port netlink.Link, bridge *netlink.Bridge) error {
	if err := netlink.LinkSetMaster(port, bridge); err != nil {
		return fmt.Errorf("%s cannot join %s: %w", port.Attrs().Name, bridge.Name, err)
	}

	return netlink.LinkSetUp(port)
}

// otherAddress is what the computer's card is called while the machine has its address, and the reverse.
func otherAddress(address net.HardwareAddr) net.HardwareAddr {
	other := append(net.HardwareAddr{}, address...)
	other[0] ^= locallyAdministered

	return other
}
