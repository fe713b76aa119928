/**
 * Charts as SVG. The content security policy admits no style, so all sizes are attributes. What a chart shows
 * is in a table as well, which is its text for whoever does not see it.
 */
import type { JSX } from "preact";
import { visibleText } from "./visible-text.ts";

interface BarsProps {
  /** What it shows, for screen readers. */
  readonly title: string;
  /** With values above zero. */
  readonly bars: readonly { readonly label: string; readonly value: number; readonly shown: string }[];
}

/** A bar for each label, whose names have room. */
export function Bars({ title, bars }: BarsProps): JSX.Element {
  const most = Math.max(...bars.map(({ value }) => value));
  return (
    <figure class="card chart" role="img" aria-label={`${title}: the table has the same`}>
      <figcaption>{title}</figcaption>
      <div class="bars">
        {bars.map(({ label, value, shown }) => (
          <div key={label}>
            <bdi>{visibleText(label)}</bdi>
            <svg height="14" aria-hidden="true">
              <rect width={percent(value, most)} height="14" rx="3" />
            </svg>
            <span>{shown}</span>
          </div>
        ))}
      </div>
    </figure>
  );
}

interface ColumnsProps {
  readonly title: string;
  readonly columns: readonly { readonly label: string; readonly value: number }[];
}

/** A column for each hour or day, from the first to the last. */
export function Columns({ title, columns }: ColumnsProps): JSX.Element {
  const most = Math.max(1, ...columns.map(({ value }) => value));
  const [first, last] = [columns[0], columns.at(-1)];
  return (
    <figure class="card chart" role="img" aria-label={`${title}: the table has the same`}>
      <figcaption>
        {title}, at most {most}
      </figcaption>
      <svg
        class="columns"
        height="90"
        viewBox={`0 0 ${columns.length} 90`}
        preserveAspectRatio="none"
        aria-hidden="true"
      >
        {columns.map(({ label, value }, index) => (
          <rect
            key={label}
            x={index + 0.1}
            y={90 - heightOf(value, most)}
            width="0.8"
            height={heightOf(value, most)}
            class={value === 0 ? "zero" : undefined}
          >
            <title>{`${label}: ${value}`}</title>
          </rect>
        ))}
      </svg>
      <div class="axis">
        <span>{first?.label}</span>
        <span>{last?.label}</span>
      </div>
    </figure>
  );
}

/** One that is there is seen, however small it is beside the largest; a zero is a line. */
function heightOf(value: number, most: number): number {
  return value === 0 ? 1 : 4 + (value / most) * 86;
}

function percent(value: number, most: number): string {
  return `${Math.max(0.5, (value / most) * 100).toFixed(1)}%`;
}
