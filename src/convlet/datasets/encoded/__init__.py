"""Images that are encoded one by one, as photographs are: read, looked at, decoded, prepared."""
