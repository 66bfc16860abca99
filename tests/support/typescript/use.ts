import createClient from "openapi-fetch";
import type { components, paths } from "./api";

const client = createClient<paths>({ baseUrl: "http://127.0.0.1:8080" });

export async function rejected(jobId: string): Promise<number> {
  const { data, error } = await client.GET("/vpns/api/v1/batchinfo/status/{job_id}", {
    params: { path: { job_id: jobId }, query: { dateFormat: "iso" } },
  });
  if (error) throw new Error(`${error.code}: ${error.message}`);
  const status: components["schemas"]["JobStatus"] = data;
  return status.rejected;
}

export async function emails(country: string): Promise<(string | null)[]> {
  const { data } = await client.GET("/vpns/api/v1/audience", { params: { query: { country } } });
  return (data?.audience ?? []).map((user) => user.email);
}
