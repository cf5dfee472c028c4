import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { REPOSITORY } from '../support/fixture.ts';
import { temporary } from '../support/temporary.ts';

const RECIPES = join(REPOSITORY, 'recipes');
const python = has('python3');
const compiler = has('gcc');

function has(program: string): boolean {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;
}

interface Ended {
  readonly status: number | null;
  readonly stderr: string;
}

function script(name: string, ...args: string[]): Ended {
  const { status, stderr } = spawnSync('python3', ['-B', join(RECIPES, 'coreboot', name), ...args], {
    encoding: 'utf8',
  });
  return { status, stderr };
}

/** Writes a folder of files: path → content. */
async function tree(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporary();
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}

const suite = (title: string): string => (python ? title : `${title} (skipped: python3 is not installed)`);

describe.skipIf(!python)(suite('check-symbols.py'), () => {
  const known = {
    'src/Kconfig': 'config KNOWN\n\tbool\nmenuconfig MENU\n\tbool\n',
    'src/soc/Kconfig.more': 'config SOC_KNOWN\n\tint "a number"\n',
  };

  async function check(board: Readonly<Record<string, string>>): Promise<Ended> {
    const folder = await tree({ ...known, ...board });
    return script('check-symbols.py', folder, ...Object.keys(board).map((path) => join(folder, path)));
  }

  it('accepts what exists, and reads no prose for symbols', async () => {
    const board = {
      'board/Kconfig': [
        'if KNOWN # and not COMMENTED_OUT',
        'config BOARD_SPECIFIC_OPTIONS',
        '\tdef_bool y',
        '\tselect SOC_KNOWN if MENU && !KNOWN',
        '\thelp',
        '\t  if NOT_A_SYMBOL is chosen,',
        '\t    select ANOTHER_WORD',
        '',
        '\t  default OF_PROSE',
        'config TEXT',
        '\tstring',
        '\tdefault "A_STRING" if KNOWN',
        'endif',
      ].join('\n'),
      'board/mainboard.c': 'if (CONFIG(KNOWN)) use(CONFIG_SOC_KNOWN); /* not config(x) */',
      'board/Makefile.mk': 'ramstage-$(CONFIG_MENU) += x.c',
      wanted: 'CONFIG_KNOWN=y\n# CONFIG_MENU is not set\n',
    };
    expect(await check(board)).toEqual({ status: 0, stderr: '' });
  });

  it.each([
    ['select', 'board/Kconfig', 'config A\n\tselect NO_SUCH\n'],
    ['select after a help text', 'board/Kconfig', 'config A\n\thelp\n\t  text\n\tselect NO_SUCH\n'],
    ['depends on', 'board/Kconfig', 'config A\n\tdepends on KNOWN && NO_SUCH\n'],
    ['a condition of a prompt', 'board/Kconfig', 'config A\n\tbool "prompt" if NO_SUCH\n'],
    ['a default', 'board/Kconfig', 'config A\n\tdefault y if NO_SUCH\n'],
    ['a block', 'board/Kconfig', 'if NO_SUCH\nendif\n'],
    ['C', 'board/x.c', 'if (CONFIG(NO_SUCH))\n'],
    ['a constant in C', 'board/x.h', '#define X CONFIG_NO_SUCH\n'],
    ['a makefile', 'board/Makefile.mk', 'romstage-$(CONFIG_NO_SUCH) += x.c\n'],
    ['a setting', 'wanted', 'CONFIG_NO_SUCH=y\n'],
    ['a setting that is off', 'wanted', '# CONFIG_NO_SUCH is not set\n'],
  ])('names an unknown symbol in %s, with its file', async (_what, path, content) => {
    const { status, stderr } = await check({ [path]: content });
    expect(status).toBe(1);
    expect(stderr).toMatch(new RegExp(`no such symbol:\n.*${path.replace('.', '\\.')}: NO_SUCH\n$`));
  });
});

describe('check-wanted.sh', () => {
  async function check(config: string, ...wanted: string[]): Promise<Ended> {
    const folder = await tree({ config, ...Object.fromEntries(wanted.map((text, index) => [`wanted${index}`, text])) });
    const files = wanted.map((_text, index) => join(folder, `wanted${index}`));
    const command = [join(RECIPES, 'shared', 'check-wanted.sh'), join(folder, 'config'), ...files];
    const { status, stderr } = spawnSync('bash', command, { encoding: 'utf8' });
    return { status, stderr };
  }

  it('accepts what stuck; the last line that speaks of a setting counts', async () => {
    const config = 'CONFIG_A=y\nCONFIG_TEXT="x y"\n# CONFIG_OFF is not set\n';
    const wanted = [
      'CONFIG_A=n\n# CONFIG_OFF is not set\n# CONFIG_ABSENT is not set\n',
      'CONFIG_A=y\nCONFIG_TEXT="x y"\n',
    ];
    expect(await check(config, ...wanted)).toEqual({ status: 0, stderr: '' });
  });

  it.each([
    [
      'was dropped',
      'CONFIG_B=y',
      'CONFIG_A=y',
      /wanted CONFIG_A=y, Kconfig made it n\n1 of 1 wanted settings did not stick/,
    ],
    ['is on all the same', 'CONFIG_A=y', '# CONFIG_A is not set', /wanted CONFIG_A=n, Kconfig made it y/],
    ['has another value', 'CONFIG_A=16', 'CONFIG_A=8', /wanted CONFIG_A=8, Kconfig made it 16/],
    ['is no setting', 'CONFIG_A=y', 'CONFIG_A y', /no setting: CONFIG_A y/],
  ])('refuses a setting that %s', async (_what, config, wanted, message) => {
    const { status, stderr } = await check(`${config}\n`, `${wanted}\n`);
    expect(status).toBe(1);
    expect(stderr).toMatch(message);
  });
});

describe.skipIf(!python)(suite('fsp-headers.py'), () => {
  const INTERFACE = join(RECIPES, 'platforms', 'x11sch-f', 'fsp.json');

  async function generate(change: (fsp: Fsp) => void): Promise<Ended & { readonly folder: string }> {
    const fsp = JSON.parse(await readFile(INTERFACE, 'utf8')) as Fsp;
    change(fsp);
    const folder = await tree({ 'fsp.json': JSON.stringify(fsp) });
    return { ...script('fsp-headers.py', join(folder, 'fsp.json'), join(folder, 'include')), folder };
  }

  interface Fsp {
    headers: Record<string, { structs?: string[] }>;
    structs: Record<string, { size: number; fields: [string, string, number[], number, number][] }>;
  }

  it.each([
    [
      'a hole between fields',
      (fsp: Fsp) => fsp.structs['FSP_M_CONFIG']?.fields.splice(5, 1),
      /FSP_M_CONFIG\.\w+ is at 26, the field before it ends at 24/,
    ],
    [
      'a structure that is larger than its fields',
      (fsp: Fsp) => ((fsp.structs['FSPM_UPD'] as { size: number }).size += 4),
      /FSPM_UPD has 1476 bytes, its fields 1472/,
    ],
    [
      'a structure in no header',
      (fsp: Fsp) => fsp.headers['FspmUpd.h']?.structs?.pop(),
      /every one of structs has to be in one header/,
    ],
  ])('refuses %s', async (_what, change, message) => {
    const { status, stderr } = await generate(change);
    expect(status).toBe(1);
    expect(stderr).toMatch(message);
  });

  const compile = compiler ? it : it.skip;
  compile(
    `writes headers that a compiler takes, and refuses if an offset is another${compiler ? '' : ' (skipped: gcc is not installed)'}`,
    async () => {
      const { status, folder } = await generate(() => {});
      expect(status).toBe(0);
      const include = join(folder, 'include');
      // Stands for EDK2's headers, which come with coreboot.
      const types = `#include <stdint.h>
      typedef uint8_t UINT8; typedef uint16_t UINT16; typedef uint32_t UINT32; typedef uint64_t UINT64;
      typedef struct { UINT8 x[32]; } FSP_UPD_HEADER; typedef struct { UINT8 x[32]; } FSPM_ARCH_UPD;`;
      const stubs = { 'FspEas.h': types, 'MemInfoHob.h': '' };
      for (const [name, text] of Object.entries(stubs)) await writeFile(join(include, name), `#pragma once\n${text}\n`);
      const check = (path: string): void =>
        void execFileSync('gcc', ['-m64', '-fsyntax-only', '-Wall', '-Werror', '-I', include, '-x', 'c', path], {
          stdio: 'pipe',
        });
      // AUDIO_AZALIA_VERB_TABLE ends with a pointer, which has four bytes where the FSP runs.
      const narrow = async (name: string): Promise<string> => {
        const text = (await readFile(join(include, name), 'utf8')).replaceAll('UINT32 * Data', 'UINT32 Data');
        await writeFile(join(include, name), text);
        return join(include, name);
      };
      for (const name of ['FspUpd.h', 'FspmUpd.h', 'FspsUpd.h', 'FsptUpd.h']) check(await narrow(name));

      const path = join(include, 'FspmUpd.h');
      await writeFile(
        path,
        (await readFile(path, 'utf8')).replace('UINT16 MemorySpdDataLen', 'UINT32 MemorySpdDataLen'),
      );
      expect(() => check(path)).toThrow(/static assertion failed/);
    },
  );
});
