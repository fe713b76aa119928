/** Tables, which become cards on a narrow screen, and the way to their next page. */
import type { ComponentChildren, JSX } from "preact";
import { useAddressState } from "../address.ts";

export interface Column<T> {
  readonly title: string;
  readonly cell: (item: T) => ComponentChildren;
  readonly isNumber?: boolean;
}

interface TableProps<T> {
  /** What the table lists, for screen readers. */
  readonly caption: string;
  readonly columns: readonly Column<T>[];
  readonly items: readonly T[];
  readonly keyOf: (item: T) => string;
  /** Shown in place of an empty table: what this means, and what to do. */
  readonly empty: ComponentChildren;
}

export function Table<T>({ caption, columns, items, keyOf, empty }: TableProps<T>): JSX.Element {
  if (items.length === 0) return <p class="card hint">{empty}</p>;
  return (
    // A wide table scrolls, also by the keyboard.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: axe-core wants it of what scrolls
    <section class="scroll" aria-label={caption} tabIndex={0}>
      <table class="cards">
        <caption class="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ title, isNumber }) => (
              <th key={title} scope="col" class={isNumber ? "number" : undefined}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <tr key={keyOf(item)}>
              {columns.map(({ title, cell, isNumber }) => (
                <td key={title} data-label={title} class={isNumber ? "number" : undefined}>
                  {cell(item)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** The way to older items, and back to the newest. The address has the cursor. @param next of the answer */
export function Pager({ next }: { readonly next: string | null }): JSX.Element {
  const address = useAddressState();
  const go = (cursor: string) => () => {
    address.set({ cursor });
    scrollTo(0, 0);
  };
  return (
    <div class="actions">
      {address.get("cursor") !== "" && (
        <button type="button" onClick={go("")}>
          Newest
        </button>
      )}
      {next !== null && (
        <button type="button" onClick={go(next)}>
          Older
        </button>
      )}
    </div>
  );
}
