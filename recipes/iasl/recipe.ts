import { debian, defineRecipe } from 'vmbuild';

// A program that Debian has compiled: the source archive, unlike all others, is not to be had from Debian's mirrors.
export default defineRecipe({
  description: "compiler for ACPI tables: Debian's iasl 20200925",
  image: 'base',
  sources: {
    'acpica-tools.deb': debian({
      path: 'pool/main/a/acpica-unix/acpica-tools_20200925-8_amd64.deb',
      sha256: '1f80236e9af631b2a0ed50ae9bb74613d6970b844714aba33eb3710241494fb2',
      size: 825_040,
      snapshot: '20260711T101637Z',
    }),
  },
  files: ['build.sh', 'iasl'],
  command: ['bash', '/recipe/build.sh'],
});
