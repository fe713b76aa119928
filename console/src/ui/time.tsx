/** Times and durations: in the reader's zone, with UTC beside. */
import type { JSX } from "preact";

const LOCAL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const ZONE = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" })
  .formatToParts()
  .find(({ type }) => type === "timeZoneName")?.value;

/** @param at RFC 3339, or ms since the epoch; null is shown as a dash */
export function Time({ at }: { readonly at: string | number | null }): JSX.Element {
  if (at === null) return <span class="none">–</span>;
  const date = new Date(at);
  const iso = date.toISOString();
  return (
    <time dateTime={iso} title={`${LOCAL.format(date)} ${ZONE ?? ""}`}>
      {LOCAL.format(date)} <small class="utc">{utcBeside(date)}</small>
    </time>
  );
}

/** UTC, with its day only where that is another than the reader's. */
function utcBeside(date: Date): string {
  const iso = date.toISOString();
  const isSameDay = date.getDate() === date.getUTCDate();
  return `${isSameDay ? iso.slice(11, 19) : `${iso.slice(0, 10)} ${iso.slice(11, 19)}`} UTC`;
}
