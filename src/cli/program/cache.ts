import type { Command } from 'commander';
import { VERSION } from '../version.ts';

/** `vmbuild cache` and `vmbuild key`. */
export function define(program: Command): void {
  defineCache(program);
  defineKey(program);
}

function defineCache(program: Command): void {
  const cache = program.command('cache').description('share results through a folder, a web server, or vmbuild itself');
  cache
    .command('push')
    .description('sign the results of targets, and write them and all that they were made from to a cache')
    .argument('<url>')
    .argument('<target...>')
    .option('--key <name>', 'the key to sign with: a name, or the path of a file')
    .option('--sources', 'the fetched sources and the packages of images, too')
    .option('--allow-differs', 'also what a verification has found other bytes for')
    .option('--json', 'as JSON')
    .action(async (url, targets, _options, self) =>
      (await import('../commands/cachePush.ts')).cachePush(url, targets, self.optsWithGlobals()),
    );
  cache
    .command('pull')
    .description('take targets from a cache, and build nothing')
    .argument('<url>')
    .argument('<target...>')
    .option('-o, --output <folder>', 'copy the artifacts there, with a SHA256SUMS')
    .option('--json', 'events as lines of JSON')
    .action(async (url, targets, _options, self) =>
      (await import('../commands/cachePull.ts')).cachePull(url, targets, self.optsWithGlobals(), VERSION),
    );
  cache
    .command('ls')
    .description('show what a cache says about targets, and whom of those one believes')
    .argument('<url>')
    .argument('<target...>')
    .option('--json', 'as JSON')
    .action(async (url, targets, _options, self) =>
      (await import('../commands/cacheLs.ts')).cacheLs(url, targets, self.optsWithGlobals()),
    );
  cache
    .command('check')
    .description('compare everything in a cache with its name; of one that cannot list, what belongs to targets')
    .argument('<url>')
    .argument('[target...]')
    .option('--json', 'as lines of JSON')
    .action(async (url, targets, _options, self) =>
      (await import('../commands/cacheCare.ts')).cacheCheck(url, targets, self.optsWithGlobals()),
    );
  cache
    .command('copy')
    .description('copy everything, or what belongs to targets, from one cache to another')
    .argument('<from>')
    .argument('<to>')
    .argument('[target...]')
    .option('--json', 'as lines of JSON')
    .action(async (from, to, targets, _options, self) =>
      (await import('../commands/cacheCare.ts')).cacheCopy([from, to], targets, self.optsWithGlobals()),
    );
  cache
    .command('gc')
    .description('remove what no statement names; with targets, all that these do not need')
    .argument('<url>')
    .argument('[target...]')
    .option('--grace <time>', 'spare what was written within this time', '7d')
    .option('--no-writers', 'nobody pushes to it meanwhile: --grace may be short')
    .option('--dry-run', 'only show what would go')
    .option('--json', 'as lines of JSON')
    .action(async (url, targets, _options, self) =>
      (await import('../commands/cacheCare.ts')).cacheGc(url, targets, self.optsWithGlobals()),
    );
  cache
    .command('serve')
    .description('serve a folder as a cache over HTTP')
    .argument('<folder>')
    .option('--listen <address>', 'host:port', '127.0.0.1:8080')
    .option('--write-token-file <file>', 'who shows what stands in this file may write')
    .action(async (folder, _options, self) =>
      (await import('../commands/cacheServe.ts')).cacheServe(folder, self.optsWithGlobals()),
    );
}

function defineKey(program: Command): void {
  const key = program.command('key').description('keys that statements are signed with, and whom to believe');
  key
    .command('generate')
    .description('make a key to sign with; its private half stays in your configuration')
    .argument('[name]', 'what you call it', 'default')
    .action(async (name) => (await import('../commands/key.ts')).keyGenerate(name));
  key
    .command('ls')
    .alias('list')
    .description('list your keys, and those that are trusted')
    .option('--json', 'as JSON')
    .action(async (_options, self) => (await import('../commands/key.ts')).keyLs(self.optsWithGlobals()));
  key
    .command('trust')
    .description('believe what a key has signed')
    .argument('<name>', 'what you call its owner')
    .argument('<key>', 'ed25519:…')
    .action(async (name, text) => (await import('../commands/key.ts')).keyTrust(name, text));
  key
    .command('revoke')
    .description('believe a key no more')
    .argument('<key>', 'its name, its id, or itself')
    .action(async (which, _options, self) =>
      (await import('../commands/key.ts')).keyRevoke(which, self.optsWithGlobals()),
    );
}
