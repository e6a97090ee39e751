"""Pictures and tables for people: contact sheets, class tables, problems in words."""
