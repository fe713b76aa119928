/** Filters of a list. They are in the address, and a change of one goes back to the newest page. */
import type { ComponentChildren, JSX } from "preact";
import { useAddressState } from "../address.ts";

interface Choice {
  readonly value: string;
  readonly label: string;
}

export interface Filter {
  /** Of the address's parameter, and of the API's. */
  readonly name: string;
  readonly label: string;
  /** The values to choose from. Without them the filter is text. */
  readonly choices?: readonly Choice[];
  /** For a point in time. The address has it in UTC, the field in the reader's zone. */
  readonly isTime?: boolean;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Ranges that people ask for most. The address gets the times, so that a link means the same tomorrow. */
const RANGES: readonly { readonly label: string; readonly range: (now: Date) => readonly [Date, Date | undefined] }[] =
  [
    { label: "Last hour", range: (now) => [new Date(now.getTime() - HOUR_MS), undefined] },
    { label: "Today", range: (now) => [startOfDay(now, 0), undefined] },
    { label: "Yesterday", range: (now) => [startOfDay(now, -1), startOfDay(now, 0)] },
    { label: "Last 7 days", range: (now) => [new Date(now.getTime() - 7 * DAY_MS), undefined] },
    { label: "Last 30 days", range: (now) => [new Date(now.getTime() - 30 * DAY_MS), undefined] },
  ];

function startOfDay(now: Date, offset: number): Date {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + offset);
}

/** To the second, as people read it in an address. */
function toAddress(date: Date | undefined): string {
  return date === undefined ? "" : date.toISOString().replace(/\.\d+Z$/, "Z");
}

/** @returns what `<input type="datetime-local">` takes: the reader's time without a zone; "" for no time */
function toLocalInput(address: string): string {
  const at = Date.parse(address);
  if (Number.isNaN(at)) return "";
  return new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

interface FiltersProps {
  readonly filters: readonly Filter[];
  /** Whether `since` and `until` have buttons for what people ask for most. */
  readonly hasRanges?: boolean;
  /** More of the row, such as exports. */
  readonly children?: ComponentChildren;
}

export function Filters({ filters, hasRanges = false, children }: FiltersProps): JSX.Element {
  const address = useAddressState();
  const change = (changes: Readonly<Record<string, string>>) => address.set({ ...changes, cursor: "" });
  const names = [...filters.map(({ name }) => name), "cursor"];
  const isFiltered = filters.some(({ name }) => address.get(name) !== "");
  return (
    <search aria-label="Filters">
      <form onSubmit={(event) => event.preventDefault()}>
        <div class="filters">
          {filters.map((filter) => (
            <FilterField key={filter.name} filter={filter} value={address.get(filter.name)} change={change} />
          ))}
        </div>
        <div class="actions">
          {hasRanges &&
            RANGES.map(({ label, range }) => (
              <button
                key={label}
                type="button"
                onClick={() => {
                  const [since, until] = range(new Date());
                  change({ since: toAddress(since), until: toAddress(until) });
                }}
              >
                {label}
              </button>
            ))}
          {isFiltered && (
            <button type="button" onClick={() => address.set(Object.fromEntries(names.map((name) => [name, ""])))}>
              Clear filters
            </button>
          )}
          {children}
        </div>
      </form>
    </search>
  );
}

interface FilterFieldProps {
  readonly filter: Filter;
  readonly value: string;
  readonly change: (changes: Readonly<Record<string, string>>) => void;
}

function FilterField({ filter: { name, label, choices, isTime }, value, change }: FilterFieldProps): JSX.Element {
  if (choices) {
    return (
      <label>
        {label}
        <select name={name} value={value} onChange={({ currentTarget }) => change({ [name]: currentTarget.value })}>
          <option value="">any</option>
          {choices.map((choice) => (
            <option key={choice.value} value={choice.value}>
              {choice.label}
            </option>
          ))}
        </select>
      </label>
    );
  }
  const shown = isTime ? toLocalInput(value) : value;
  const enter = (entered: string) => {
    const text = entered.trim();
    if (text !== shown) change({ [name]: isTime && text !== "" ? toAddress(new Date(text)) : text });
  };
  const field = {
    name,
    value: shown,
    autoComplete: "off",
    onChange: ({ currentTarget }: { readonly currentTarget: HTMLInputElement }) => enter(currentTarget.value),
  } as const;
  return isTime ? (
    <label>
      {label}
      <input type="datetime-local" {...field} />
    </label>
  ) : (
    <label>
      {label}
      <input type="text" spellcheck={false} {...field} />
    </label>
  );
}
