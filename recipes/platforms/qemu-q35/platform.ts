import { definePlatform } from 'vmbuild';

export default definePlatform({
  description: 'QEMU q35, the machine that proves the whole chain without hardware',
  // The budget is that of the X11SCH-F's BIOS region, so that what boots here would fit there.
  flash: { size: 16 * 1024 * 1024, budget: 10 * 1024 * 1024 },
  // QEMU's emulation aborts when a nested guest's timer fires too often; KVM can be told to hold back.
  // panic: with -no-reboot, a kernel that cannot go on ends QEMU instead of hanging.
  kernelCommandLine: 'console=ttyS0,115200 kvm.min_timer_period_us=100000 panic=-1',
});
