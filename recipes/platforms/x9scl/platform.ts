import { definePlatform } from 'vmbuild';

// coreboot supports this board without a single blob, but its chip is too small for VMBoot: every target that
// would need the room is refused, with the sizes, before anything is built.
export default definePlatform({
  description:
    'Supermicro X9SCL and X9SCM: Intel C202/C204, Sandy Bridge and Ivy Bridge; its flash is too small for VMBoot',
  flash: {
    size: 8 * 1024 * 1024,
    // coreboot's own layout for this board leaves the first half to the vendor.
    taken: { 'descriptor, GbE, ME': 4 * 1024 * 1024 },
    budget: 4 * 1024 * 1024,
  },
  kernelCommandLine: 'console=ttyS0,115200',
});
