/** Filters of a list. They are in the address, and a change of one goes back to the newest page. */
import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";
import { useAddressState } from "../address.ts";
import type { Filter } from "./filter.ts";
import { RANGES, readLocalInput, toAddressTime, toLocalInput } from "./time-range.ts";

/** What the address asks of a list: its filters, and which page of it. */
export function useFilterQuery(filters: readonly Filter[]): Readonly<Record<string, string>> {
  const address = useAddressState();
  return Object.fromEntries(parametersOf(filters).map((name) => [name, address.get(name)]));
}

function parametersOf(filters: readonly Filter[]): readonly string[] {
  return [...filters.map(({ name }) => name), "cursor"];
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
  const names = parametersOf(filters);
  const isSet = ({ name }: Filter) => address.get(name) !== "";
  const fieldsOf = (some: readonly Filter[]) => (
    <div class="filters">
      {some.map((filter) => (
        <FilterField key={filter.name} filter={filter} value={address.get(filter.name)} change={change} />
      ))}
    </div>
  );
  const rare = filters.filter(({ isRare }) => isRare);
  return (
    <search aria-label="Filters">
      <form onSubmit={(event) => event.preventDefault()}>
        {fieldsOf(filters.filter(({ isRare }) => !isRare))}
        {rare.length > 0 && (
          <details class="more" open={rare.some(isSet)}>
            <summary>More</summary>
            {fieldsOf(rare)}
          </details>
        )}
        <div class="actions">
          {hasRanges &&
            RANGES.map(({ label, range }) => (
              <button
                key={label}
                type="button"
                onClick={() => {
                  const [since, until] = range(new Date());
                  change({ since: toAddressTime(since), until: toAddressTime(until) });
                }}
              >
                {label}
              </button>
            ))}
          {filters.some(isSet) && (
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

function FilterField({ filter, value, change }: FilterFieldProps): JSX.Element {
  const id = useId();
  const { label, hint, isLong } = filter;
  return (
    <div class={isLong ? "field long" : "field"}>
      <label htmlFor={id}>{label}</label>
      <FilterInput id={id} filter={filter} value={value} change={change} />
      {hint !== undefined && <small id={`${id}-hint`}>{hint}</small>}
    </div>
  );
}

function FilterInput({ id, filter, value: given, change }: FilterFieldProps & { readonly id: string }): JSX.Element {
  const { name, choices, suggestions, isTime, isLong, isRequired, otherwise = "", hint, example } = filter;
  const value = given === "" ? otherwise : given;
  if (choices) {
    return (
      <select
        id={id}
        name={name}
        value={value}
        onChange={({ currentTarget }) => change({ [name]: currentTarget.value })}
      >
        <option value="">any</option>
        {choices.map((choice) => (
          <option key={choice.value} value={choice.value}>
            {choice.label}
          </option>
        ))}
      </select>
    );
  }
  const [shown, otherwiseShown] = isTime ? [toLocalInput(value), toLocalInput(otherwise)] : [value, otherwise];
  const field = {
    id,
    name,
    "aria-describedby": hint === undefined ? undefined : `${id}-hint`,
    value: shown,
    required: isRequired,
    placeholder: example,
    autoComplete: "off",
    onChange: ({ currentTarget }: { readonly currentTarget: HTMLInputElement | HTMLTextAreaElement }) => {
      const text = currentTarget.value.trim();
      if (text === shown) return;
      const at = isTime ? readLocalInput(text) : undefined;
      if (isTime && text !== "" && !at) return;
      if (text !== given) change({ [name]: isTime ? toAddressTime(at) : text });
      // An empty field would look as if nothing counted.
      if (text === "") currentTarget.value = otherwiseShown;
    },
  } as const;
  if (isTime) {
    // Whoever leaves a time that is none sees what counts instead.
    const restore = ({ currentTarget }: { readonly currentTarget: HTMLInputElement }) => {
      if (currentTarget.value !== "" && !readLocalInput(currentTarget.value)) currentTarget.value = shown;
    };
    return <input type="datetime-local" {...field} onBlur={restore} />;
  }
  if (isLong) return <textarea rows={5} spellcheck={false} {...field} />;
  if (!suggestions) return <input type="text" spellcheck={false} {...field} />;
  const list = `${id}-suggestions`;
  return (
    <>
      <input type="text" spellcheck={false} list={list} {...field} />
      <datalist id={list}>
        {suggestions.map((suggestion) => (
          <option key={suggestion} value={suggestion} />
        ))}
      </datalist>
    </>
  );
}
