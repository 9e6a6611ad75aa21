"""The page: static files that the gateway serves at `/`; Python only to fetch what others wrote."""
