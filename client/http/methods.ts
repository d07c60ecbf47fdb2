/** Whether a request only reads (RFC 9110 § 9.3.1, 9.3.2). */
export function isRead(method: string | undefined): method is "GET" | "HEAD" {
  return method === "GET" || method === "HEAD";
}
