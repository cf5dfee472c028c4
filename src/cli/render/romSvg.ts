import type { FlashUse } from '../../firmware/flashUse.ts';
import type { Part } from '../../firmware/parts/part.ts';
import { type PlacedPart, placedRoot, walkPlaces } from '../../firmware/parts/places.ts';
import { formatBytes } from '../format.ts';
import { escapeHtml } from './html.ts';
import type { Origin } from './romColors.ts';
import { type Cell, layOut } from './treemap.ts';

const WIDTH = 1200;
const MAP_HEIGHT = 720;
const STRIP_HEIGHT = 44;
/** What the strip shows the parts of: whatever lies in flash as it is. */
const DIVIDED: readonly Part['kind'][] = ['image', 'region', 'area', 'cbfs-file'];
/** Width of a character of the labels, at most. */
const CHARACTER = 6.6;

/** How the two drawings show a part. */
export interface PartStyle {
  readonly origin: (part: Part) => Origin;
  /** Where the page says more of it; undefined if it does not. */
  readonly anchor: (part: Part) => string | undefined;
  readonly title: (part: Part) => string;
  /** True for free room of the flash; a hole in a program is none. */
  readonly isRoom: (part: Part) => boolean;
}

/** The flash from its first byte to its last, with the vendor's share and the budget. */
export function flashStrip(root: Part, use: FlashUse | undefined, style: PartStyle): string {
  const scale = WIDTH / root.size;
  const isDivided = ({ part }: PlacedPart): boolean => DIVIDED.includes(part.kind) && part.unpacked === undefined;
  const pieces = [...walkPlaces(placedRoot(root), isDivided)]
    .filter((placed) => !isDivided(placed) || placed.part.parts.length === 0)
    .map(({ part, place = 0 }) => {
      const box = { x: place * scale, y: 0, width: part.size * scale, height: STRIP_HEIGHT };
      return rectangle(part, { ...box, label: undefined }, style);
    });
  const height = STRIP_HEIGHT + (use === undefined ? 0 : 40);
  const marks = use === undefined ? '' : budgetMarks(use, scale);
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="the flash by address">${HATCH}${pieces.join('')}${marks}</svg>`;
}

function budgetMarks({ size, taken, budget, used, free }: FlashUse, scale: number): string {
  const bracket = (from: number, to: number, text: string): string => {
    const [left, right, y] = [from * scale, to * scale, STRIP_HEIGHT + 6];
    const middle = (left + right) / 2;
    return (
      `<path class="mark" d="M${n(left + 1)} ${y}v6H${n(right - 1)}v-6"/>` +
      `<text class="mark" x="${n(middle)}" y="${y + 22}" text-anchor="middle">${escapeHtml(text)}</text>`
    );
  };
  const left = free < 0 ? `${formatBytes(-free)} too much` : `${formatBytes(free)} free`;
  return [
    ...(taken === 0 ? [] : [bracket(0, taken, `the vendor's: ${formatBytes(taken)}`)]),
    bracket(taken, Math.min(size, taken + budget), `budget ${formatBytes(budget)}: ${formatBytes(used)} used, ${left}`),
  ].join('');
}

/** The image as a map in which areas are in proportion to bytes of flash. */
export function romMap(root: Part, style: PartStyle): string {
  const cells = layOut(root, WIDTH, MAP_HEIGHT);
  const leaves = cells.filter(({ leaf }) => leaf).map((cell) => leafCell(cell, style));
  // The outlines of what holds others lie above, thicker the further out.
  const groups = cells
    .filter(({ leaf, depth }) => !leaf && depth > 0)
    .map(
      ({ x, y, width, height, depth }) =>
        `<rect class="group" x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}" stroke-width="${n(3 / depth)}"/>`,
    );
  return `<svg viewBox="0 0 ${WIDTH} ${MAP_HEIGHT}" role="img" aria-label="the image as a map">${HATCH}${leaves.join('')}${groups.join('')}</svg>`;
}

function leafCell({ part, ...box }: Cell, style: PartStyle): string {
  if (part !== undefined) return rectangle(part, { ...box, label: formatBytes(Math.round(box.flash)) }, style);
  return `<rect class="cell" fill="#eef0f2" x="${n(box.x)}" y="${n(box.y)}" width="${n(box.width)}" height="${n(box.height)}"/>`;
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** What stands below the name; undefined for no text at all. */
  readonly label: string | undefined;
}

function rectangle(part: Part, { x, y, width, height, label }: Box, style: PartStyle): string {
  const fill = part.kind === 'free' && style.isRoom(part) ? 'url(#free)' : style.origin(part).color;
  const room = Math.floor((width - 8) / CHARACTER);
  const lines = label === undefined || height < 16 || room < 4 ? [] : [part.name, ...(height < 32 ? [] : [label])];
  const text = lines
    .map(
      (line, index) => `<text x="${n(x + 4)}" y="${n(y + 13 + 14 * index)}">${escapeHtml(shorten(line, room))}</text>`,
    )
    .join('');
  const shape =
    `<rect class="cell" fill="${fill}" x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}">` +
    `<title>${escapeHtml(style.title(part))}</title></rect>${text}`;
  const anchor = style.anchor(part);
  return anchor === undefined ? shape : `<a href="#${anchor}">${shape}</a>`;
}

function shorten(text: string, room: number): string {
  return text.length <= room ? text : `${text.slice(0, room - 1)}…`;
}

/** Numbers with as many digits as a screen can show. */
function n(value: number): string {
  return String(Number(value.toFixed(2)));
}

const HATCH =
  '<defs><pattern id="free" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">' +
  '<rect width="8" height="8" fill="#fff"/><rect width="2" height="8" fill="#d4d9df"/></pattern></defs>';
