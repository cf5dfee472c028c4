import { defineRecipe } from 'vmbuild';
import { INITRAMFS_GO } from '../shared/initramfsGo.ts';

export default defineRecipe({
  description: 'the source of vmboot, the command that starts the virtual machine, after its tests',
  image: 'base',
  inputs: { gokvm: 'gokvm' },
  sources: INITRAMFS_GO,
  files: [
    'build.sh',
    { from: 'u-root/go.mod', to: 'go.mod' },
    'go.sum',
    'disks.go',
    'disks_test.go',
    'filter.go',
    'filter_test.go',
    'firmware.go',
    'firmware_test.go',
    'host.go',
    'host_test.go',
    'labels.go',
    'labels_test.go',
    'main.go',
    'network.go',
    'network_test.go',
    'options.go',
    'options_test.go',
    'restart.go',
    'restart_test.go',
    'watchdog.go',
    'watchdog_test.go',
  ],
  command: ['bash', '/recipe/build.sh'],
});
