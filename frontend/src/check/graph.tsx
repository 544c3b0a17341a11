/** The bit rates of the measurement, drawn while it runs. */
import { SECS, type Sample } from "./measure";

const WIDTH = 600;
const HEIGHT = 120;
/** Bits per second at the upper edge. */
const TOP = 1_600_000;

export function Graph({ samples }: { samples: Sample[] }) {
  const last = samples.at(-1);
  const summary = last ? `${kilobits(last.up)} to the server, ${kilobits(last.down)} back` : "No media yet";
  return (
    <figure class="graph">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`Bit rate: ${summary}`}>
        {[0.25, 0.5, 0.75].map((height) => (
          <line key={height} class="rule" x1="0" x2={WIDTH} y1={HEIGHT * height} y2={HEIGHT * height} />
        ))}
        <polyline class="up" points={pointsOf(samples, "up")} />
        <polyline class="down" points={pointsOf(samples, "down")} />
      </svg>
      <figcaption>
        <span class="key up">to the server{last && ` ${kilobits(last.up)}`}</span>
        <span class="key down">back{last && ` ${kilobits(last.down)}`}</span>
      </figcaption>
    </figure>
  );
}

export function kilobits(bits: number): string {
  return `${Math.round(bits / 1000)} kb/s`;
}

function pointsOf(samples: Sample[], name: "up" | "down"): string {
  return samples
    .map((sample) => {
      const x = (Math.min(sample.at, SECS) / SECS) * WIDTH;
      const y = HEIGHT - (Math.min(sample[name], TOP) / TOP) * (HEIGHT - 4) - 2;
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(" ");
}
