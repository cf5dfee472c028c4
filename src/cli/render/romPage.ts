import type { Part } from '../../firmware/parts/part.ts';
import { type PlacedPart, placedParts, placedRoot } from '../../firmware/parts/places.ts';
import type { Producer } from '../../firmware/producers.ts';
import { hex } from '../../formats/binary.ts';
import { printable } from '../../model/printable.ts';
import { formatBytes } from '../format.ts';
import type { Made } from '../subject.ts';
import { escapeHtml } from './html.ts';
import { type Origin, originsOf } from './romColors.ts';
import { factsText, producerText } from './romFacts.ts';
import type { InspectDocument } from './romJson.ts';
import { flashStrip, type PartStyle, romMap } from './romSvg.ts';

/** What is too small to be listed on the page; `--json` has everything. */
const UNLISTED: readonly Part['kind'][] = ['program-section', 'fit-entry'];

/**
 * A page about an image that needs nothing but itself: the flash by address, a map drawn to scale, every part with the recipe that
 * it is from, and the recipes.
 */
export function renderPage(
  document: InspectDocument,
  root: Part,
  graph: readonly Made[],
  producers: ReadonlyMap<Part, Producer>,
): string {
  const origins = originsOf(root, producers);
  const rows: string[] = [];
  const anchors = new Map<Part, string>();
  const room = new Set<Part>();
  const list = (placed: PlacedPart, level: number): void => {
    const { part } = placed;
    const anchor = `p${rows.length}`;
    anchors.set(part, anchor);
    if (placed.place !== undefined) room.add(part);
    rows.push(partRow(placed, level, anchor, producers.get(part)));
    for (const inner of placedParts(placed)) if (!UNLISTED.includes(inner.part.kind)) list(inner, level + 1);
  };
  list(placedRoot(root), 0);
  const style: PartStyle = {
    origin: (part) => origins.get(part) as Origin,
    anchor: (part) => anchors.get(part),
    isRoom: (part) => room.has(part),
    title: (part) =>
      `${printable(part.name)}\n${formatBytes(part.size)} ${factsText(part)}\nfrom ${origins.get(part)?.label}`,
  };
  const title = escapeHtml(printable(root.name));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>${CSS}</style></head><body>
<h1>${title}</h1>
${summary(document)}
<h2>The flash, by address</h2>
${flashStrip(root, document.use, style)}
<h2>To scale</h2>
<p>Each area is in proportion to the bytes of flash. What lies in something packed has its share of the packed bytes. Hatched is free.</p>
${legend(origins, graph)}
${romMap(root, style)}
<h2>Parts</h2>
<table><thead><tr><th>part</th><th>at</th><th>bytes</th><th>what</th><th>from</th><th>sha256</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table>
${recipes(graph)}
</body></html>
`;
}

function summary({ target, artifact, platform, sha256, masked }: InspectDocument): string {
  const entries: readonly (readonly [string, string | undefined])[] = [
    ['target', target],
    ['platform', platform],
    ['artifact', artifact],
    ['sha256', sha256],
    ['masked digest', masked],
  ];
  const rows = entries.flatMap(([name, value]) =>
    value === undefined ? [] : [`<dt>${name}</dt><dd>${escapeHtml(value)}</dd>`],
  );
  return `<dl>${rows.join('')}</dl>`;
}

function legend(origins: ReadonlyMap<Part, Origin>, graph: readonly Made[]): string {
  const shown = new Map([...origins.values()].map((origin) => [origin.label, origin.color]));
  const entries = [...shown].map(([label, color]) => {
    const text = escapeHtml(label);
    const link = graph.some(({ target }) => target === label) ? `<a href="#r-${text}">${text}</a>` : text;
    return `<li><span style="background:${color}"></span>${link}</li>`;
  });
  return `<ul class="legend">${entries.join('')}</ul>`;
}

function partRow({ part, place }: PlacedPart, level: number, anchor: string, producer: Producer | undefined): string {
  const { name, kind, size, digest, problems } = part;
  const from = producer === undefined ? '' : escapeHtml(producerText(producer));
  const link =
    producer !== undefined && 'target' in producer ? `<a href="#r-${escapeHtml(producer.target)}">${from}</a>` : from;
  const wrong = problems.map((problem) => `<div class="problem">${escapeHtml(printable(problem))}</div>`).join('');
  const cells = [
    `<td style="padding-left:${level}em">${escapeHtml(printable(name))}${wrong}</td>`,
    `<td class="n">${place === undefined ? '' : hex(place)}</td>`,
    `<td class="n">${size}</td>`,
    `<td>${escapeHtml(factsText(part))}</td>`,
    `<td>${link}</td>`,
    `<td class="d" title="${digest}">${digest.slice(0, 12)}</td>`,
  ];
  return `<tr id="${anchor}"${kind === 'free' ? ' class="free"' : ''}>${cells.join('')}</tr>`;
}

function recipes(graph: readonly Made[]): string {
  if (graph.length === 0) return '';
  const rows = graph.map(({ target, artifact, buildKey }) => {
    const name = escapeHtml(target);
    return `<tr id="r-${name}"><td>${name}</td><td class="d">${artifact}</td><td class="d">${buildKey}</td></tr>`;
  });
  return `<h2>Recipes</h2><table><thead><tr><th>target</th><th>artifact</th><th>build key</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table>`;
}

const CSS = `
body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:1240px;padding:0 20px;color:#1c2430;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{color:#5a6572}dd{margin:0;font-family:monospace;overflow-wrap:anywhere}
svg{width:100%;height:auto;display:block}svg text{font:11px monospace;fill:#1c2430;pointer-events:none}
.cell{stroke:#fff;stroke-width:.5}.cell:hover{stroke:#1c2430;stroke-width:1.5}.group{fill:none;stroke:#1c2430}
path.mark{fill:none;stroke:#1c2430}svg text.mark{font:12px system-ui,sans-serif}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;padding:0}.legend span{display:inline-block;width:1em;height:1em;margin-right:.4em;vertical-align:-.1em;border:1px solid #8a94a0}
table{border-collapse:collapse;width:100%;font-size:13px}th{text-align:left;border-bottom:1px solid #8a94a0}td,th{padding:.1rem .6rem .1rem 0;vertical-align:top}
td.n{font-family:monospace;text-align:right}td.d{font-family:monospace;color:#5a6572}tr.free td{color:#8a94a0}tr:target{background:#fff3bf}
.problem{color:#b3261e}a{color:inherit}
`;
