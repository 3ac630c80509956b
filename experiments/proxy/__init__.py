"""How well learned proxies stand in for cost models: the tables of docs/proxy.md."""
