import type { FunctionComponent } from "preact";

export interface Page {
  /** Below the console's address; `:name` stands for one part, which the component has in `params`. */
  readonly path: string;
  /** In the navigation, the heading and the window's title. */
  readonly title: string;
  readonly component: FunctionComponent<PageProps>;
  /** Whether the person may see it. Others do not see it in the navigation, and read why at its address. */
  readonly isFor: () => boolean;
  /** Whether the navigation has it. Default: yes. */
  readonly isListed?: boolean;
}

export interface PageProps {
  readonly params: Readonly<Record<string, string>>;
}
