// Drawing by numbers.

/** A canvas of so many CSS pixels, sharp on every screen, and empty; its brush. */
export function sized(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const brush = canvas.getContext("2d");
  brush.scale(ratio, ratio);
  brush.font = `11.5px ${getComputedStyle(canvas).fontFamily}`;
  return brush;
}

/** A bar with round corners. */
export function round(brush, x, y, width, height) {
  brush.beginPath();
  brush.roundRect(x, y, width, height, Math.min(2, width / 2));
  brush.fill();
}

/** A colour, paler by the share of the ground in it. */
export function mix(colour, ground, share) {
  return `color-mix(in srgb, ${colour} ${share * 100}%, ${ground})`;
}
