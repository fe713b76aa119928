/** Up to how many live sessions the page of health counts. More take the directory too long for a number. */
export const MAX_COUNTED_SESSIONS = 500;
