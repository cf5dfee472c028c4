import { hierarchy, treemap, treemapSquarify } from 'd3-hierarchy';
import type { Part } from '../../firmware/parts/part.ts';

/** A rectangle of the map. */
export interface Cell {
  readonly part: Part | undefined;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** 0 for the whole image. */
  readonly depth: number;
  readonly leaf: boolean;
  /** Bytes of flash that it stands for. */
  readonly flash: number;
}

interface Node {
  /** Undefined for padding and headers, which belong to no part. */
  readonly part: Part | undefined;
  readonly flash: number;
  readonly children: readonly Node[];
}

/** Cells below this area, in units of the map squared, are not divided any further. */
const SMALLEST = 40;
/** Sections are too many to be seen. */
const UNDIVIDED: readonly Part['kind'][] = ['ffs-file', 'cpio-entry', 'fit-entry', 'free', 'rest'];

/**
 * Lays an image out as a map in which areas are in proportion to the bytes of flash: a rectangle in a rectangle is a part of a part.
 * What lies in something packed takes its share of the packed bytes, by its share of the unpacked ones.
 */
export function layOut(root: Part, width: number, height: number): readonly Cell[] {
  const perByte = (width * height) / root.size;
  const tree = hierarchy<Node>(nodeOf(root, root.size, perByte), ({ children }) => [...children]).sum(
    ({ children, flash }) => (children.length === 0 ? flash : 0),
  );
  return treemap<Node>()
    .tile(treemapSquarify)
    .size([width, height])(tree)
    .descendants()
    .map(({ data, x0, y0, x1, y1, depth }) => ({
      part: data.part,
      x: x0,
      y: y0,
      width: x1 - x0,
      height: y1 - y0,
      depth,
      leaf: data.children.length === 0,
      flash: data.flash,
    }));
}

function nodeOf(part: Part, flash: number, perByte: number): Node {
  if (flash * perByte < SMALLEST || UNDIVIDED.includes(part.kind)) return { part, flash, children: [] };
  const inner = part.parts.filter(({ size }) => size > 0);
  if (inner.length === 0) return { part, flash, children: [] };
  const sum = inner.reduce((total, { size }) => total + size, 0);
  // Parts of something damaged may overlap, and be larger together than what they are in.
  const scale = part.unpacked !== undefined || sum > flash ? flash / Math.max(sum, part.unpacked?.length ?? 0) : 1;
  const children = inner.map((child) => nodeOf(child, child.size * scale, perByte));
  const rest = flash - sum * scale;
  return {
    part,
    flash,
    children: rest <= 0 ? children : [...children, { part: undefined, flash: rest, children: [] }],
  };
}
