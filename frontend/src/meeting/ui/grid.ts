/** The size of equal tiles that fit into an area. Pure. */

export interface Fit {
  width: number;
  height: number;
}

const WIDEST = 16 / 9;
/** Narrowest aspect ratio of a tile. Cameras are wide, so upright tiles, which crop them, are for upright windows only. */
const NARROWEST = { wide: 4 / 3, upright: 4 / 5 };
const SMALLEST_WIDTH = 112;

/** The largest equal tiles for `count` participants, in pixels; when they would be too small, tiles of a grid that scrolls. */
export function fitTiles(count: number, area: Fit, gap: number, isUpright: boolean): Fit {
  const { width, height } = area;
  const narrowest = isUpright ? NARROWEST.upright : NARROWEST.wide;
  let best: Fit = { width: 0, height: 0 };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const cell = { width: (width - gap * (columns - 1)) / columns, height: (height - gap * (rows - 1)) / rows };
    const fit = shape(cell.width, cell.height, narrowest);
    if (fit.width * fit.height > best.width * best.height) best = fit;
  }
  return best.width >= Math.min(SMALLEST_WIDTH, width) ? best : scrolling(width, gap);
}

/** The largest rectangle inside a cell whose aspect ratio lies between `narrowest` and WIDEST. */
function shape(width: number, height: number, narrowest: number): Fit {
  if (width <= 0 || height <= 0) return { width: 0, height: 0 };
  const wide = Math.min(width, height * WIDEST);
  return { width: Math.floor(wide), height: Math.floor(Math.min(height, wide / narrowest)) };
}

function scrolling(width: number, gap: number): Fit {
  const columns = Math.max(1, Math.floor((width + gap) / (SMALLEST_WIDTH + gap)));
  const wide = Math.floor((width - gap * (columns - 1)) / columns);
  return { width: wide, height: wide };
}
