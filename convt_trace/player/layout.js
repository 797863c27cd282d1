// Where everything stands: blocks of cells on a sheet, sheets beside each other. Pure arithmetic on
// sizes; nothing here knows a value or touches the page.

const LABEL = 18; // pixels for a block's name above it
const TICKS = 16; // pixels for index numbers below the blocks
const LARGEST = 40;
const SMALLEST = 5;
const READABLE = 30; // a small tensor's cells grow to this, so that its numbers can be read
const BETWEEN = 36; // pixels between sheets: room for the lines that join them
const CAPTION = 56; // pixels of a sheet's title and the space below the sheet
export const NUMBERS_FROM = 20; // pixels: smaller cells get no numbers

/** The places of a track that are shown. */
function shown(track, showCrop) {
  const places = track.label.map((_, at) => at);
  return showCrop ? places : places.filter((at) => !track.crop[at]);
}

/**
 * Group a panel's blocks into lines: an array of lines, each an array of {channel, depth}.
 * In 2-D a group is a line of its own, or the groups stand side by side (`across`).
 */
export function lines(panel, across = false) {
  const { dims } = panel;
  const blocks = panel.channels.map((channel, at) => ({ ...channel, at }));
  if (dims === 1) return blocks.map((block) => [{ channel: block.at, depth: 0 }]);
  if (dims === 3) {
    return blocks.map((block) =>
      panel.tracks[0].label.map((_, depth) => ({ channel: block.at, depth })),
    );
  }
  const rows = new Map();
  for (const block of blocks) {
    const line = lineOf(panel, block, across);
    if (!rows.has(line)) rows.set(line, []);
    rows.get(line).push({ channel: block.at, depth: 0 });
  }
  return [...rows.values()].flatMap((row) => folded(row, panel, across));
}

/**
 * The line that a 2-D block belongs to: a weight's lines are the channels that come first in its index,
 * the others' are groups.
 */
function lineOf(panel, block, across) {
  if (!panel.isWeight) return across ? 0 : block.group;
  const line = ({ index }) => String(index.slice(0, -1));
  if (!across) return line(block);
  const own = panel.channels.filter((channel) => channel.group === block.group);
  return [...new Set(own.map(line))].indexOf(line(block));
}

/** Fold a line of many blocks into several, near a square. */
function folded(row, panel, across) {
  if (panel.isWeight || across || row.length < 3) return [row];
  const most = Math.ceil(Math.sqrt(row.length));
  return Array.from({ length: Math.ceil(row.length / most) }, (_, at) =>
    row.slice(at * most, (at + 1) * most),
  );
}

/** Lay one panel out with a given cell size: a sheet of rows x columns, gaps included. */
export function sheet(panel, cell, showCrop, across = false) {
  const { dims } = panel;
  const depths = shown(panel.tracks[0], showCrop);
  const rows = shown(panel.tracks[1], showCrop);
  const columns = shown(panel.tracks[2], showCrop);
  const gap = Math.max(1, Math.ceil(6 / cell));
  const hasNames = dims > 1 && !panel.isOneBlock;
  const labelRows = hasNames ? Math.ceil(LABEL / cell) : 0;
  const blocks = [];
  let top = 0;
  let width = 0;
  let group = null;
  for (const line of lines(panel, across)) {
    const first = panel.channels[line[0].channel];
    if (top > 0 && (dims > 1 || first.group !== group)) top += dims === 1 ? 1 : gap;
    group = first.group;
    top += labelRows;
    let left = 0;
    for (const { channel, depth } of line) {
      if (!depths.includes(depth)) continue;
      if (panel.channels[channel].group !== group) left += gap; // a wider gap between groups
      group = panel.channels[channel].group;
      blocks.push({ channel, depth, top, left, height: rows.length, width: columns.length });
      left += columns.length + gap;
    }
    width = Math.max(width, left - gap);
    top += rows.length;
  }
  const named = Math.max(...panel.channels.map((channel) => channel.label.length + 1));
  const ticked = Math.max(...rows.map((at) => String(panel.tracks[1].label[at] ?? "").length));
  const margin = { left: dims === 1 ? 14 + named * 7.3 : 12 + ticked * 7, bottom: TICKS };
  return {
    cell,
    gap: cell > 9 ? 1 : 0, // pixels between cells
    blocks,
    rowPlaces: rows,
    columnPlaces: columns,
    rows: top,
    columns: width,
    margin,
    width: Math.ceil(Math.max(width * cell + margin.left + 2, panel.title.length * 8)),
    height: Math.ceil(top * cell + margin.bottom + 2),
  };
}

/** Per cell of the panel its [row, column] on the sheet; hidden cells are left out. */
export function spots(panel, laid) {
  const places = new Map();
  for (const block of laid.blocks) {
    laid.rowPlaces.forEach((row, r) => {
      laid.columnPlaces.forEach((column, c) => {
        places.set(panel.cell([block.channel, block.depth, row, column]), [
          block.top + r,
          block.left + c,
        ]);
      });
    });
  }
  return places;
}

/** Height of sheets set side by side and wrapped at `width`. */
function flow(sheets, width, caption) {
  let height = 0;
  let line = 0;
  let left = 0;
  for (const { width: w, height: h } of sheets) {
    if (left > 0 && left + BETWEEN + w > width) {
      height += line + caption;
      line = 0;
      left = 0;
    }
    left += (left > 0 ? BETWEEN : 0) + w;
    line = Math.max(line, h);
  }
  return height + line + caption;
}

/** Lay all panels out in a box: the arrangement with the largest cells. */
export function fit(panels, box, showCrop) {
  const grouped = panels[0].channels.some(
    (channel) => channel.group !== panels[0].channels[0].group,
  );
  const ways = panels[0].dims === 2 && grouped ? [false, true] : [false];
  const [best] = ways
    .map((across) =>
      arranged((cell) => panels.map((panel) => sheet(panel, cell, showCrop, across)), box),
    )
    .sort((a, b) => b.size - a.size);
  if (best.size >= READABLE) return best.sheets;
  return best.sheets.map((_, at) => grown(best, at, box));
}

/** Lay panels of one line each out below each other, with the same cells below the same cells. */
export function stack(panels, box, showCrop) {
  const lay = (cell) => panels.map((panel) => sheet(panel, cell, showCrop));
  let size = LARGEST;
  const wide = (sheets) => sheets.some((laid) => laid.width > box.width);
  while (size > SMALLEST && wide(lay(size))) size -= 1;
  const sheets = lay(size);
  const left = Math.max(...sheets.map((laid) => laid.margin.left));
  return sheets.map((laid) => ({
    ...laid,
    margin: { ...laid.margin, left },
    width: laid.width + Math.ceil(left - laid.margin.left),
  }));
}

/** One arrangement at its best size: in one row if numbers can be read so, else where cells are largest. */
function arranged(lay, box) {
  const largest = (fits) => {
    let size = LARGEST;
    while (size > SMALLEST && !fits(lay(size))) size -= 1;
    return size;
  };
  const low = (sheets) => flow(sheets, box.width, CAPTION) <= box.height;
  const inOneRow = largest((sheets) => rowWidth(sheets) <= box.width && low(sheets));
  const wrapped = largest(
    (sheets) => sheets.every((laid) => laid.width <= box.width) && low(sheets),
  );
  const size = inOneRow >= NUMBERS_FROM || inOneRow * 1.3 >= wrapped ? inOneRow : wrapped;
  return { size, lay, sheets: lay(size) };
}

function rowWidth(sheets) {
  return sheets.reduce((width, laid) => width + laid.width, BETWEEN * (sheets.length - 1));
}

/** Let a small panel's cells grow where that costs no height and no line break. */
function grown({ sheets, lay }, at, box) {
  const tallest = Math.max(...sheets.map((laid) => laid.height));
  const height = flow(sheets, box.width, CAPTION);
  let best = sheets[at];
  for (let cell = best.cell + 1; cell <= READABLE; cell += 1) {
    const larger = lay(cell)[at];
    const others = sheets.map((laid, other) => (other === at ? larger : laid));
    const taller = flow(others, box.width, CAPTION) > height || larger.height > tallest;
    if (larger.width > box.width || taller) break;
    best = larger;
  }
  sheets[at] = best;
  return best;
}
