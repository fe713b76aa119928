/** What a binding of the VPC fake says. */
export interface VpcServiceProps {
  /** `host:port`, where its connections lead. */
  readonly address: string;
}
