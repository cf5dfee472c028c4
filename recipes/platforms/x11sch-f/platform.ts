import { debian, definePlatform } from 'vmbuild';

/** Where the regions come from that only the machine's owner can have. */
const OWN_DUMP = 'a dump of the flash chip that is in the machine, made before anything else is written to it';

export default definePlatform({
  description: 'Supermicro X11SCH-F: Intel C246, Coffee Lake-S, AST2500 management controller',
  flash: {
    size: 32 * 1024 * 1024,
    taken: { 'descriptor, ME': 0x160_0000 },
    budget: 10 * 1024 * 1024,
  },
  // The management controller has two serial ports, and shows one of them over the network. The last one named here is
  // the one with the shell.
  kernelCommandLine: 'console=ttyS0,115200 console=ttyS1,115200',
  corebootFiles: [
    'flash.fmd',
    'fsp.json',
    'mainboard/supermicro/x11sch-f/Kconfig',
    'mainboard/supermicro/x11sch-f/Kconfig.name',
    'mainboard/supermicro/x11sch-f/Makefile.mk',
    'mainboard/supermicro/x11sch-f/board_info.txt',
    'mainboard/supermicro/x11sch-f/bootblock.c',
    'mainboard/supermicro/x11sch-f/devicetree.cb',
    'mainboard/supermicro/x11sch-f/dsdt.asl',
    'mainboard/supermicro/x11sch-f/gpio.c',
    'mainboard/supermicro/x11sch-f/gpio.h',
    'mainboard/supermicro/x11sch-f/gpio_early.c',
    'mainboard/supermicro/x11sch-f/ramstage.c',
    'mainboard/supermicro/x11sch-f/romstage.c',
  ],
  blobs: {
    fsp: {
      what: "Intel's Firmware Support Package for Coffee Lake: sets up memory and the chipset",
      licence: 'may-be-shared',
      from: ['github.com/intel/FSP at commit ca4f8b702db0cb4a1e5bdf5f72396faa089f4137: CoffeeLakeFspBinPkg/Fsp.fd'],
      sha256: '0ea5211a21853b099b91f565fae3401008a12bfff2276918f194fd5400b56783',
      size: 790_528,
      fills: { cbfs: ['fspm.bin', 'fsps.bin'], holds: 'fsp' },
    },
    microcode: {
      what: "Intel's microcode updates for Coffee Lake-S (06-9e-0a to 06-9e-0d): known faults of the processors stay open without",
      licence: 'may-be-shared',
      from: [
        "Debian's package intel-microcode (non-free-firmware), below lib/firmware/intel-ucode",
        'github.com/intel/Intel-Linux-Processor-Microcode-Data-Files, below intel-ucode',
      ],
      source: debian({
        path: 'pool/non-free-firmware/i/intel-microcode/intel-microcode_3.20260925.1~deb13u1_amd64.deb',
        sha256: 'af371a52462dc3cf35ce6c08cc495cc7d79b7b2f8e4318b3b9461a27732933a1',
        size: 13_063_164,
        snapshot: '20261122T000000Z',
      }),
      fills: {
        cbfs: ['cpu_microcode_blob.bin'],
        holds: 'microcode',
        processors: ['06-9e-0a', '06-9e-0b', '06-9e-0c', '06-9e-0d'],
      },
    },
    descriptor: {
      what: 'the flash descriptor: tells the chipset where the regions of the flash are and how the board is wired',
      licence: 'stays-local',
      from: [OWN_DUMP],
      fills: { region: 'fd' },
    },
    me: {
      what: "the firmware of Intel's management engine: without it the chipset does not start the machine",
      licence: 'stays-local',
      from: [OWN_DUMP],
      fills: { region: 'me' },
    },
    gbe: {
      what: "the settings of the chipset's own network port, which this board does not use",
      licence: 'stays-local',
      from: [`${OWN_DUMP}, if its descriptor has such a region`],
      fills: { region: 'gbe' },
      optional: true,
    },
  },
});
