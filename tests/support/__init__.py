"""What the outside tests share: starting servers, and speaking RESP byte by byte."""
