import { definePlatform } from 'vmbuild';

export default definePlatform({
  description: 'QEMU q35, the machine that proves the whole chain without hardware',
  // The budget is that of the X11SCH-F's BIOS region, so that what boots here would fit there.
  flash: { size: 16 * 1024 * 1024, budget: 10 * 1024 * 1024 },
  // QEMU's emulation of SVM aborts when an interrupt is pending while a guest writes CR8, which EDK2's interrupt handlers do.
  // Ours does not (recipes/edk2/patches), but a CLOUDHV.fd on a disk may be anybody's: with timers that fire seldom there is
  // hardly ever one pending.
  // panic: with -no-reboot, a kernel that cannot go on ends QEMU instead of hanging.
  kernelCommandLine: 'console=ttyS0,115200 kvm.min_timer_period_us=100000 panic=-1',
});
