/** Tables, which become cards on a narrow screen, and the way to their next page. */
import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";
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
  readonly keyOf: (item: T, index: number) => string;
  /** Shown in place of an empty table: what this means, and what to do. */
  readonly empty: ComponentChildren;
  /** Makes each row open to more about its item. */
  readonly details?: RowDetails<T>;
}

/** What opens below a row, one at a time. */
interface RowDetails<T> {
  /** The key of the open row; another value where none is open. */
  readonly openKey: string;
  readonly open: (key: string) => void;
  readonly show: (item: T) => ComponentChildren;
}

export function Table<T>({ caption, columns, items, keyOf, empty, details }: TableProps<T>): JSX.Element {
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
            {details && <th scope="col">More</th>}
          </tr>
        </thead>
        <tbody>
          {items.map((item, index) => {
            const key = keyOf(item, index);
            return <Row key={key} item={item} columns={columns} itemKey={key} details={details} />;
          })}
        </tbody>
      </table>
    </section>
  );
}

interface RowProps<T> {
  readonly item: T;
  readonly columns: readonly Column<T>[];
  readonly itemKey: string;
  readonly details: RowDetails<T> | undefined;
}

function Row<T>({ item, columns, itemKey, details }: RowProps<T>): JSX.Element {
  const id = useId();
  const isOpen = details?.openKey === itemKey;
  return (
    <>
      <tr class={isOpen ? "open" : undefined}>
        {columns.map(({ title, cell, isNumber }) => (
          <td key={title} data-label={title} class={isNumber ? "number" : undefined}>
            {cell(item)}
          </td>
        ))}
        {details && (
          <td>
            <button
              type="button"
              class="plain"
              aria-expanded={isOpen}
              aria-controls={isOpen ? id : undefined}
              onClick={() => details.open(isOpen ? "" : itemKey)}
            >
              Details
            </button>
          </td>
        )}
      </tr>
      {details && isOpen && (
        <tr class="details" id={id}>
          <td colSpan={columns.length + 1}>{details.show(item)}</td>
        </tr>
      )}
    </>
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
