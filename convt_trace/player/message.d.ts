// The header of a message, as docs/scene.md describes it; convt_trace/player/scene.py writes it.

export interface Track {
  label: (number | null)[];
  kind?: ("real" | "zero" | "pad")[];
  crop?: boolean[];
  extra?: boolean[];
  group?: number[]; // of an axis of channels
}

/** A block of a panel; a weight's has `in` and `out`, the others' have `channel`, outputs' a `bias`. */
export interface Channel {
  index: number[];
  label?: string; // how the names of its cells begin; of a scene's panels the letter tells it
  group: number;
  channel?: number;
  in?: number;
  out?: number;
  bias?: number | string | null;
}

export interface PanelSpec {
  name: string; // of a scene: "input", "weight", "output", "torch"
  title: string;
  shape: string;
  channels: Channel[];
  tracks: Track[];
  limit: number;
}

export interface Opening {
  step: number;
  unit: string;
  cell: string;
  hide: number | null;
  look: "full" | "presenter";
  share: boolean;
  views: string[];
  key: string;
}

export interface Header {
  case: string;
  order: "scatter" | "gather";
  op?: "conv";
  dims: 1 | 2 | 3;
  sizes: number[];
  window: { start: number; stop: number; total: number };
  macs: { all: number; cropped: number; hidden: number; padded?: number };
  units: string[];
  choices: string[];
  reach: number[];
  marks: { at: number; bound: "group" | "channel"; label: string }[];
  panels: PanelSpec[];
  links: [number, number, number][];
  axes: { x: number[]; w: number[]; y: number[] }[];
  all_terms: boolean;
  verdict: { kind: string; text: string };
  dtype: string;
  views?: [name: string, title: string][];
  parts?: Record<string, number>;
  opening?: Opening;
}

/** A tensor of a linked view; one that `joins` two tensors of the scene has a title and no more. */
export interface LinkedSpec extends Partial<PanelSpec> {
  name: string;
  title: string;
  shape: string;
  line: string;
  missing?: string;
  dims?: number;
  tells?: boolean;
  letter?: string;
  joins?: ("input" | "output")[];
}

export interface LinkedHeader {
  case: string;
  view: string;
  title: string;
  sentence: string;
  equation: string;
  code: string;
  proof: { kind: string; text: string };
  notes: string[];
  arrows: string[];
  panels: LinkedSpec[];
}
