import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openProject } from '../../src/build/project.ts';
import { REPOSITORY } from '../support/fixture.ts';

/*
 * The board's files say what facts.json knows of the hardware, no more and no less. They are read the way a person
 * would: macro by macro, device by device. That they mean the same to the compiler is coreboot's business.
 */

const PLATFORM = join(REPOSITORY, 'recipes', 'platforms', 'x11sch-f');
const BOARD = join(PLATFORM, 'mainboard', 'supermicro', 'x11sch-f');

interface Pad {
  readonly mode: string;
  readonly reset: string;
  readonly value?: number;
  readonly owner?: string;
  readonly trigger?: string;
  readonly invert?: boolean;
}

interface Facts {
  readonly coreboot: Record<string, string | number> & { readonly drivers: readonly string[]; readonly soc: string };
  readonly memory: {
    readonly spd_smbus_addresses: readonly string[];
    readonly rcomp_resistor: readonly number[];
    readonly rcomp_targets: readonly number[];
    readonly dq_pins_interleaved: number;
    readonly vref_ca_config: number;
    readonly ect: number;
    readonly UserBd: string;
  };
  readonly superio: {
    readonly chip: string;
    readonly port: string;
    readonly use_espi: number;
    readonly suart1: { readonly io: string; readonly irq: number };
    readonly suart2: { readonly io: string; readonly irq: number };
    readonly off: readonly string[];
  };
  readonly ipmi_kcs: { readonly io: string; readonly gen1_dec: string; readonly bmc_boot_timeout_s: number };
  readonly soc_registers: Record<
    'DisableHeciRetry' | 'eist_enable' | 'SataSalpSupport' | 'satapwroptimize' | 'Device4Enable',
    number
  > & {
    readonly chipset_lockdown: string;
    readonly SataPortsEnable: readonly number[];
    readonly SerialIoDevMode: Record<string, string>;
    readonly PcieClkSrcUsage_0_to_15: string;
  };
  readonly pci_devices: Record<'on' | 'off' | 'hidden', readonly string[]>;
  readonly pcie_root_ports: Record<string, string>;
  readonly slots: Record<string, string>;
  readonly usb2: Record<string, string>;
  readonly usb2_strength: string;
  readonly usb3: Record<string, string>;
  readonly gpio_early: Record<string, Pad>;
  readonly gpio: Record<string, Pad>;
}

const facts = JSON.parse(readFileSync(join(PLATFORM, 'facts.json'), 'utf8')) as Facts;

/** A file of the board without its comments. */
function source(name: string): string {
  const text = readFileSync(join(BOARD, name), 'utf8').replaceAll(/\/\*.*?\*\//gs, '');
  return name.endsWith('.cb') || name === 'Kconfig' ? text.replaceAll(/#.*$/gm, '') : text;
}

const platform = await openProject([{ recipes: join(REPOSITORY, 'recipes'), images: '' }]).platform('x11sch-f');

const devicetree = source('devicetree.cb');

/** The text of `register "name" = "…"`. */
function register(name: string): string {
  const match = new RegExp(`register "${name.replaceAll(/[[\]]/g, '\\$&')}"\\s*= "([^"]*)"`).exec(devicetree);
  if (match?.[1] === undefined) throw new Error(`${name} is not in the devicetree`);
  return match[1].replaceAll(/\s+/g, ' ').trim();
}

/** `{ [0] = A, [3] = B(C), }` as an object. */
function elements(text: string): Record<string, string> {
  const entries = text.matchAll(/\[([^\]]+)\]\s*=\s*([^,()]+(?:\([^)]*\))?)/g);
  return Object.fromEntries([...entries].map(([, index, value]) => [index as string, (value as string).trim()]));
}

/** What a PAD_CFG macro says of a pad, in the words of facts.json. */
function pad(macro: string, args: readonly string[]): Pad {
  const [first = '', second = '', third = '', fourth = ''] = args;
  switch (macro) {
    case 'PAD_CFG_NF':
      return { mode: third.toLowerCase(), reset: second };
    case 'PAD_CFG_GPO':
      return { mode: 'gpo', value: Number(first), reset: second };
    case 'PAD_CFG_GPI_GPIO_DRIVER':
      return { mode: 'gpi', owner: 'driver', reset: second };
    case 'PAD_CFG_GPI_SCI':
    case 'PAD_CFG_GPI_SMI':
    case 'PAD_CFG_GPI_NMI':
      return {
        mode: `gpi-${macro.slice(-3).toLowerCase()}`,
        reset: second,
        trigger: third,
        invert: fourth === 'INVERT',
      };
    default:
      throw new Error(`no such macro is expected here: ${macro}`);
  }
}

/** Every pad that a file configures; one that stands twice, or has a pull, throws. */
function pads(file: string): Record<string, Pad> {
  const found: Record<string, Pad> = {};
  for (const [, macro, list] of source(file).matchAll(/(PAD_\w+)\(([^)]*)\)/g)) {
    const [name = '', ...args] = (list as string).split(',').map((argument) => argument.trim());
    if (name in found) throw new Error(`${name} is configured twice`);
    if (macro !== 'PAD_CFG_GPO' && args[0] !== 'NONE') throw new Error(`${name} has a pull resistor: ${args[0]}`);
    found[name] = pad(macro as string, args);
  }
  return found;
}

describe('the board folder of x11sch-f', () => {
  it('configures every pad as the facts say, and no other', () => {
    expect(pads('gpio.c')).toEqual(facts.gpio);
    expect(Object.keys(pads('gpio.c')).length).toBeGreaterThan(150);
    expect(pads('gpio_early.c')).toEqual(facts.gpio_early);
  });

  it('has the PCI devices on, off and hidden as the facts say', () => {
    // coreboot's aliases of the chipset's devices (chipset_pch_h.cb), by PCI device and function
    const aliases: Record<string, string> = Object.fromEntries(
      [
        'system_agent 00.0, peg0 01.0, peg1 01.1, igpu 02.0, dptf 04.0, gna 08.0, thermal 12.0, xhci 14.0, xdci 14.1',
        'shared_sram 14.2, i2c0 15.0, i2c1 15.1, heci1 16.0, heci2 16.1, csme_ider 16.2, csme_ktr 16.3, heci3 16.4',
        'sata 17.0, uart0 1e.0, lpc_espi 1f.0, p2sb 1f.1, pmc 1f.2, hda 1f.3, smbus 1f.4, fast_spi 1f.5, gbe 1f.6',
      ].flatMap((line) => line.split(', ').map((pair) => pair.split(' '))),
    );
    const found: Record<string, string[]> = { on: [], off: [], hidden: [] };
    const ports: string[] = [];
    for (const [, name, state] of devicetree.matchAll(/device ref (\w+) (on|off|hidden)/g)) {
      const port = /^pcie_rp(\d+)$/.exec(name as string)?.[1];
      if (port !== undefined && state === 'on') ports.push(port);
      else found[state as string]?.push(aliases[name as string] ?? `unknown: ${name}`);
    }
    for (const list of Object.values(found)) list.sort();
    expect(found).toEqual(facts.pci_devices);
    expect(ports.sort()).toEqual(Object.keys(facts.pcie_root_ports).sort());
  });

  it('describes slots, and hot plug where the facts have it', () => {
    const slots = [
      ...devicetree.matchAll(
        /device ref (\w+) on\s(?:\s*register [^\n]*\n)*\s*smbios_slot_desc "[^"]*" "[^"]*" "([^"]*)"/g,
      ),
    ];
    const named = Object.fromEntries(slots.map(([, name, text]) => [name, text]));
    expect(named).toEqual({
      peg0: facts.slots['01.0'],
      peg1: facts.slots['01.1'],
      pcie_rp5: 'M.2-P_1',
      pcie_rp9: 'M.2-P_2',
    });
    for (const [port, text] of Object.entries(facts.pcie_root_ports)) {
      const hotPlug = text.includes('hotplug');
      for (const name of ['PcieRpHotPlug', 'PcieRpSlotImplemented']) {
        expect(devicetree.includes(`"${name}[${Number(port) - 1}]" = "true"`)).toBe(hotPlug);
      }
      if (hotPlug) expect(text).toContain(named[`pcie_rp${port}`]);
    }
    expect(devicetree.match(/PcieRpHotPlug/g)).toHaveLength(2);
  });

  it('has the USB ports with their over-current pins', () => {
    const port = (strength: string, pin: string): string => `${strength}(${pin.replace(/ .*/, '')})`;
    const wanted = (ports: Record<string, string>, strength: string): Record<string, string> =>
      Object.fromEntries(Object.entries(ports).map(([number, pin]) => [number, port(strength, pin)]));
    expect(elements(register('usb2_ports'))).toEqual(wanted(facts.usb2, facts.usb2_strength));
    expect(elements(register('usb3_ports'))).toEqual(wanted(facts.usb3, 'USB3_PORT_DEFAULT'));
  });

  it('has the chipset registers', () => {
    const { soc_registers: soc } = facts;
    expect(register('common_soc_config')).toContain(`.chipset_lockdown = ${soc.chipset_lockdown}`);
    for (const name of ['DisableHeciRetry', 'eist_enable', 'SataSalpSupport', 'satapwroptimize'] as const) {
      expect([name, register(name)]).toEqual([name, soc[name] === 1 ? 'true' : 'false']);
    }
    // coreboot takes it from the devicetree
    expect(soc.Device4Enable).toBe(facts.pci_devices.on.includes('04.0') ? 1 : 0);
    expect(register('SataPortsEnable')).toBe(`{ ${soc.SataPortsEnable.join(', ')} }`);
    expect(elements(register('SerialIoDevMode'))).toEqual(soc.SerialIoDevMode);
    const constants: Record<string, string> = { PCIE_CLK_FREE: '0x80' };
    const { '0 ... 15': usage = '' } = elements(register('PcieClkSrcUsage'));
    expect(constants[usage]).toBe(soc.PcieClkSrcUsage_0_to_15);
  });

  it('uses no CLKREQ#, because no pad is given to one', () => {
    const candidates = [5, 6, 7, 8, 9, 10]
      .map((n) => `GPP_B${n}`)
      .concat([...Array(10).keys()].map((n) => `GPP_H${n}`));
    for (const name of candidates) expect(facts.gpio[name]?.mode ?? 'gpi').toMatch(/^gp[io]$/);
    expect(elements(register('PcieClkSrcClkReq'))).toEqual({ '0 ... 15': 'PCIE_CLK_NOTUSED' });
  });

  it('reaches Super I/O and management controller where they are', () => {
    const { superio, ipmi_kcs: ipmi } = facts;
    const port = superio.port.replace('0x', '');
    expect(devicetree).toContain(`chip superio/${superio.chip}`);
    expect(register('use_espi')).toBe('true');
    for (const [uart, ldn] of [['suart1', 2] as const, ['suart2', 3] as const]) {
      const body = new RegExp(`device pnp ${port}\\.${ldn} on\\s+io 0x60 = (\\w+)\\s+irq 0x70 = (\\d+)`).exec(
        devicetree,
      );
      expect(body?.slice(1)).toEqual([superio[uart].io, String(superio[uart].irq)]);
    }
    const off = [...devicetree.matchAll(/device pnp (\S+) off end/g)].map(([, name]) => name);
    expect(off).toEqual(superio.off);
    expect(source('bootblock.c')).toContain(`#define SUPERIO_PORT ${superio.port}`);
    expect(register('gen1_dec')).toBe(ipmi.gen1_dec);
    expect(register('bmc_boot_timeout')).toBe(String(ipmi.bmc_boot_timeout_s));
    expect(register('wait_for_bmc')).toBe('true');
    expect(devicetree).toContain(`device pnp ${ipmi.io.replace('0x', '')}.0 on end`);
  });

  it('gives the FSP the memory configuration', () => {
    const { memory } = facts;
    const text = source('romstage.c');
    const list = (field: string): readonly number[] =>
      new RegExp(`\\.${field} = \\{([^}]*)\\}`).exec(text)?.[1]?.split(',').map(Number) ?? [];
    const value = (field: string): number => Number(new RegExp(`\\.${field} = (\\d+)`).exec(text)?.[1]);
    expect([...text.matchAll(/SPD_AT\((0x\w+)\)/g)].map(([, address]) => address)).toEqual(memory.spd_smbus_addresses);
    expect(list('rcomp_resistor')).toEqual(memory.rcomp_resistor);
    expect(list('rcomp_targets')).toEqual(memory.rcomp_targets);
    for (const field of ['dq_pins_interleaved', 'vref_ca_config', 'ect'] as const) {
      expect(value(field)).toBe(memory[field]);
    }
    expect(text).toContain(`UserBd = ${memory.UserBd};`);
  });

  it('selects what the facts name, and has the sizes', () => {
    const kconfig = source('Kconfig');
    const selected = [...kconfig.matchAll(/^\s*select (\w+)$/gm)].map(([, name]) => name);
    expect(selected).toEqual(expect.arrayContaining(facts.coreboot.soc.split(' + ')));
    expect(selected).toEqual(expect.arrayContaining([...facts.coreboot.drivers]));
    const setting = (name: string): string | undefined =>
      new RegExp(`^config ${name}\\n(?:\\s+string\\n)?\\s+default "?([^"\\n]*)"?$`, 'm').exec(kconfig)?.[1];
    expect(setting('SUPERMICRO_BOARDID')).toBe(facts.coreboot['supermicro_boardid']);
    expect(setting('MAX_CPUS')).toBe(String(facts.coreboot['max_cpus']));
    expect(setting('DIMM_MAX')).toBe(String(facts.coreboot['dimm_max']));
    expect(setting('DIMM_SPD_SIZE')).toBe(String(facts.coreboot['dimm_spd_size']));
    expect(setting('CBFS_SIZE')).toBe(facts.coreboot['cbfs_size']);
    expect(selected).toContain(`BOARD_ROMSIZE_KB_${facts.coreboot['rom_size_KiB']}`);
  });

  it('has a flash layout that fills the chip and leaves the vendor what platform.ts says', () => {
    const { flash } = platform;
    const layout = readFileSync(join(PLATFORM, 'flash.fmd'), 'utf8').replaceAll(/#.*$/gm, '');
    const region = (name: string): readonly number[] => {
      const match = new RegExp(`\\b${name}(?:\\(CBFS\\))?@(\\w+) (\\w+)`).exec(layout);
      return [Number(match?.[1]), Number(match?.[2])];
    };
    const taken = Object.values(flash.taken ?? {}).reduce((sum, bytes) => sum + bytes, 0);
    expect(layout).toContain(`FLASH ${flash.size / 1024 / 1024}M`);
    expect(region('SI_BIOS')).toEqual([taken, flash.size - taken]);
    expect(region('SI_BIOS')[1]).toBe(Number(facts.coreboot['cbfs_size']));
    expect(region('SI_ALL')).toEqual([0, taken]);
    const [cbfs = 0, size = 0] = region('COREBOOT');
    expect(cbfs + size).toBe(flash.size - taken);
  });

  it('is declared file by file in platform.ts', () => {
    const declared = (platform.corebootFiles ?? []).filter((path) => path.startsWith('mainboard/'));
    const there = readdirSync(BOARD).map((name) => `mainboard/supermicro/x11sch-f/${name}`);
    expect([...declared].sort()).toEqual(there.sort());
  });
});
