/** What a filter of a list is: a parameter of the address and of the API. */

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
  /** What the field suggests; any other text is as good. */
  readonly suggestions?: readonly string[];
  /** For a point in time. The address has it in UTC, the field in the reader's zone. */
  readonly isTime?: boolean;
  /** For text of several lines. */
  readonly isLong?: boolean;
  /** Whether it is shown with the others that are seldom needed, on demand. */
  readonly isRare?: boolean;
  readonly isRequired?: boolean;
  /** What counts where the address has none. The field shows it. */
  readonly otherwise?: string;
  /** One that fits, shown where the field is empty. */
  readonly example?: string;
  /** What it is, where its label does not say all. */
  readonly hint?: string;
}
