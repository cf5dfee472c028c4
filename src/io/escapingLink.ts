import type { TarEntry } from '../formats/tarHeader.ts';

/** Links that the kernel follows on one way before it gives up (path_resolution(7)). */
const MAX_FOLLOWED = 40;

/**
 * True if a relative link leads out of the tree. By its text alone that cannot be told: in a tree with the link `s` to `.`,
 * a link to `s/s/../../x` leads to the folder above the tree. Where something is missing a folder is assumed.
 *
 * @param links path → target of all links of the tree.
 */
export function leadsOut(link: TarEntry, links: ReadonlyMap<string, string>): boolean {
  const place = link.path.split('/').slice(0, -1);
  const pending = (link.target ?? '').split('/').reverse();
  for (let followed = 0; pending.length > 0;) {
    const part = pending.pop() as string;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (place.pop() === undefined) return true;
      continue;
    }
    place.push(part);
    const target = links.get(place.join('/'));
    if (target === undefined) continue;
    followed += 1;
    if (followed > MAX_FOLLOWED) return false; // nobody can follow it
    place.pop();
    pending.push(...target.split('/').reverse());
  }
  return false;
}

/** True if the text of a link does not say where it leads: it goes up after it went down, perhaps through another link. */
export function isWinding(target: string): boolean {
  return /(^|\/)(?!\.{1,2}(\/|$))[^/]+\/(.*\/)?\.\.(\/|$)/.test(target);
}
