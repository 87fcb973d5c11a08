"""What this site has of its own: pages made from the code, links, and checks. Extensions of Sphinx."""
